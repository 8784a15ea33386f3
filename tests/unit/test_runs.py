"""A finished run in Python: predictions on files, bytes and tables."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import skinzoo
from skinzoo.config import make_config
from skinzoo.errors import DataError, ModelError, UsageError
from skinzoo.runs import UnknownTermWarning
from skinzoo.training.prepare import read_cases
from skinzoo.training.trainer import train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of one epoch and the cases that it was trained on."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(home))
        config = make_config(
            "cnn",
            assignments=[
                "data.dataset=sample",
                "data.options.images=90",
                "data.protocol_options.folds=3",
                "training.epochs=1",
                "training.batch_size=8",
            ],
        )
        result = train(config, name="one")
        yield skinzoo.load_run("one"), read_cases(config), home
    assert result.epochs == 1


@pytest.fixture(autouse=True)
def same_home(trained, isolated_home, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(trained[2]))


def test_files_bytes_and_tables_predict_the_same(trained):
    run, cases, _ = trained
    table = cases.table.head(5)
    by_table = run.predict(table)
    assert list(by_table.columns) == list(run.classes)
    np.testing.assert_allclose(by_table.sum(axis=1), 1.0, rtol=1e-5)
    rows = [
        {
            "image": Path(row.image_path).read_bytes(),
            "age": row.age,
            "sex": row.sex,
            "localization": row.localization,
        }
        for row in table.itertuples()
    ]
    np.testing.assert_array_equal(run.predict(rows), by_table)
    np.testing.assert_allclose(run.predict(rows, batch_size=2), by_table, atol=1e-6)


def test_order_and_index_are_kept(trained):
    run, cases, _ = trained
    table = cases.table.iloc[[7, 2, 5]].set_axis(["c", "a", "b"])
    found = run.predict(table)
    assert list(found.index) == ["c", "a", "b"]
    alone = run.predict(cases.table.iloc[[2]])
    np.testing.assert_allclose(found.loc[["a"]], alone, atol=1e-6)
    assert run.predict([]).shape == (0, 7)
    assert run.predict(pd.DataFrame()).shape == (0, 7)


def test_every_property_may_be_unknown(trained):
    run, cases, _ = trained
    path = cases.table["image_path"][0]
    nothing = run.predict([{"image": path}])
    for unknown in (None, float("nan"), "unknown", ""):
        row = {"image": path, "age": unknown, "sex": unknown, "localization": unknown}
        np.testing.assert_array_equal(run.predict([row]), nothing)
    known = run.predict([{"image": path, "age": "80", "sex": "MALE ", "localization": "face"}])
    assert not np.array_equal(known, nothing)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({}, "must have `image`"),
        ({"image": 3}, "must have `image`.*Received: 3 in case 0"),
        ({"image": "/none.jpg"}, "'/none.jpg' must be readable"),
        ({"image": b""}, "empty file"),
        ({"image": b"no image at all, only text"}, "a file of another kind"),
        ({"image": b"", "age": 200}, "`age` must be within 0..120 years"),
        ({"image": b"", "age": "old"}, "`age` must be within"),
        ({"image": b"", "sex": 1}, "`sex` must be a text or unknown"),
        ({"image": b"", "localisation": "back"}, "Received: 'localisation'. Did you mean 'localization'"),
        ({"image": b"", "gender": "male"}, "Received: 'gender'. Did you mean 'sex'"),
        ({"image": b"", "Age": 50}, "Did you mean 'age'"),
        ({"path": "x.jpg"}, "Did you mean 'image'"),
        (3, "Each case must be a dictionary, or the path or bytes"),
        ("/none.jpg", "'/none.jpg' must be readable"),
    ],
)
def test_wrong_cases_are_refused(trained, case, message):
    with pytest.raises(DataError, match=message) as caught:
        trained[0].predict([case])
    assert "--skip-bad" not in str(caught.value)


def test_a_path_alone_is_a_case(trained):
    run, cases, _ = trained
    path = cases.table["image_path"][0]
    expected = run.predict([{"image": path}])
    for case in (path, Path(path), Path(path).read_bytes()):
        np.testing.assert_array_equal(run.predict([case]), expected)


def test_other_columns_are_let_be(trained):
    run, cases, _ = trained
    table = cases.table.head(2)
    more = table.assign(stage="T1", note="", patient="x", gender="male")
    np.testing.assert_array_equal(run.predict(more), run.predict(table))


def test_terms_outside_the_vocabulary_are_warned_of_once(trained):
    _, cases, _ = trained
    run = skinzoo.load_run("one")
    path = cases.table["image_path"][0]
    rows = [{"image": path, "sex": "femal", "localization": "Scalp"}] * 2 + [{"image": path, "sex": "m"}]
    with pytest.warns(UnknownTermWarning) as caught:
        run.predict(rows)
    assert [str(one.message).partition("Received: ")[2] for one in caught] == [
        "'femal', which the model has not seen. Did you mean 'female'?",
        "'m', which the model has not seen. Did you mean 'male'?",
    ]
    assert {one.filename for one in caught} == {__file__}
    run.predict(rows)


def test_what_python_shows_of_a_run(trained):
    run, _, _ = trained
    assert re.fullmatch(
        r"<Run 'one': cnn by recipe \w+, best epoch 1 of 1, val_balanced_accuracy 0\.\d{4}>", repr(run)
    )
    shown = repr(run.evaluate("test"))
    assert re.match(r"Evaluation\(part='test', cases=\d+, accuracy=0\.\d{4}, balanced_accuracy=", shown)


@pytest.mark.parametrize("level", [None, pytest.param("0", marks=pytest.mark.slow)])
def test_the_python_api_is_quiet_unless_asked_not_to_be(tmp_path, level):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    if level is not None:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    result = subprocess.run(
        [sys.executable, "-c", "import skinzoo; skinzoo.create_model('cnn')"],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    assert (result.stderr == "") is (level is None)


def test_a_truncated_image_is_refused(trained):
    run, cases, _ = trained
    content = Path(cases.table["image_path"][0]).read_bytes()
    with pytest.raises(DataError, match="cannot be decoded") as caught:
        run.predict([{"image": content[: len(content) // 3]}])
    assert caught.value.hint == "Convert or replace the image, or leave the case out."
    with pytest.raises(DataError, match=r"must be a DataFrame or a list.*predict\(\[case\]\)"):
        run.predict("lesion.jpg")


def test_evaluation_names_absent_classes(trained):
    run, cases, _ = trained
    found = run.evaluate("test")
    assert found.cases == len(cases.part("test"))
    assert found.absent == tuple(sorted(set(run.classes) - set(cases.part("test")["label"])))
    predicted = run.predict(cases.part("test"))
    right = (predicted.idxmax(axis=1) == cases.part("test")["label"].to_numpy()).mean()
    assert found.accuracy == pytest.approx(right)
    assert 0 <= found.macro_auc <= 1
    with pytest.raises(UsageError, match="Did you mean 'test'"):
        run.evaluate("tset")


def test_an_unfinished_or_absent_run_is_refused(trained, tmp_path):
    run, _, _ = trained
    for name in ("config.json", "environment.json", "classes.json"):
        (tmp_path / name).write_bytes((run.path / name).read_bytes())
    with pytest.raises(ModelError, match=r"which is stopped\. Go on with: skinzoo train --resume"):
        skinzoo.load_run(tmp_path)
    with pytest.raises(UsageError, match="Did you mean 'one'"):
        skinzoo.load_run("onee")
