"""`skinzoo evaluate` on files and on a run."""

import json

import numpy as np
import pandas as pd
import pytest

CLASSES = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
PUBLISHED = """20 4 5 0 2 2 0 / 1 38 2 1 2 7 0 / 4 3 86 1 6 9 0 / 0 1 1 9 0 1 0 /
0 2 4 0 74 31 0 / 1 2 12 1 16 633 1 / 0 0 0 0 0 1 13"""
FEW = ("--draws", "100")


@pytest.fixture
def published(tmp_path):
    """A file whose confusion matrix is that of run M6 of Nguyen et al."""
    counts = np.array([row.split() for row in PUBLISHED.split("/")], dtype=int)
    true, predicted = (np.repeat(np.indices((7, 7))[axis].ravel(), counts.ravel()) for axis in (0, 1))
    table = pd.DataFrame(np.where(np.arange(7) == predicted[:, None], 0.94, 0.01), columns=CLASSES)
    table.insert(0, "image_id", [f"i{i}" for i in range(len(true))])
    table.insert(1, "true", np.array(CLASSES)[true])
    path = tmp_path / "m6.csv"
    table.to_csv(path, index=False)
    return path


def edited(path, name, change):
    table = pd.read_csv(path, dtype=str)
    changed = change(table)
    table = table if changed is None else changed
    found = path.with_name(name)
    table.to_csv(found, index=False)
    return found


def test_a_published_matrix_gives_the_published_numbers(cli, published):
    done = cli("evaluate", "--predictions", published, "--json", *FEW)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["by_image"]["overall"]
    expected = {
        "accuracy": 0.87651, "macro_precision": 0.8079, "macro_recall": 0.7765, "macro_f1": 0.7905,
        "macro_specificity": 0.9666, "paper_balanced_accuracy": 0.8716, "one_vs_rest_accuracy": 0.9647,
    }  # fmt: skip
    for name, value in expected.items():
        assert round(found[name], 5 if name == "accuracy" else 4) == value, name


def test_the_table_names_what_is_not_known(invoke, published):
    done = invoke("evaluate", "--predictions", published, *FEW)
    assert done.code == 0
    assert "m6.csv: 996 images" in done.out and "0.877 [" in done.out and "95% over images" in done.out
    assert done.err.startswith("Warning: The predictions do not state the split")
    assert "Report:" not in done.out


def test_a_report_is_written_where_asked(invoke, published, tmp_path):
    done = invoke("evaluate", "--predictions", published, "--to", tmp_path / "out", *FEW)
    assert done.code == 0 and f"Report: {tmp_path / 'out' / 'report.html'}" in done.out
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "report.html", "report.md", "report.json", "figures",
    }  # fmt: skip


def test_against_another_file_and_calibrated(invoke, published):
    def spoil(table):
        table.loc[:200, CLASSES] = table.loc[:200, CLASSES[::-1]].to_numpy()

    other = edited(published, "other.csv", spoil)
    validation = edited(published, "validation.csv", lambda t: t.__setitem__("image_id", "v" + t["image_id"]))
    done = invoke(
        "evaluate", "--predictions", published, "--against", other, "--validation", validation, *FEW
    )
    assert done.code == 0
    assert "Minus other.csv" in done.out and "McNemar over 996 images" in done.out
    assert "Calibrated on 996 validation images" in done.out and "hold the true class in" in done.out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop(columns="true"), "Missing: true"),
        (lambda t: t.__setitem__("mel", "0.5"), "sum to 1"),
        (lambda t: t.loc.__setitem__((3, "nv"), "nan"), "row 4"),
        (lambda t: t.loc.__setitem__((3, "true"), "mell"), "Did you mean 'mel'?"),
        (lambda t: t.loc.__setitem__((3, "image_id"), "i0"), "'i0' in 2 rows"),
        (lambda t: t.iloc[:0], "at least one image"),
    ],
)
def test_a_bad_file_ends_with_3_and_one_line(invoke, published, change, words):
    done = invoke("evaluate", "--predictions", edited(published, "bad.csv", change))
    assert done.code == 3 and done.out == ""
    assert len(done.err.splitlines()) == 1 and words in done.err and "bad.csv" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "Received: neither"),
        (["a-run", "--predictions", "p.csv"], 2, "Received: both"),
        (["--predictions", "p.csv", "--tta", "flips"], 2, "must come with RUN"),
        (["--predictions", "p.csv", "--data", "x"], 2, "--data must come with RUN"),
        (["--predictions", "p.csv", "--calibrate", "vector"], 2, "--validation"),
        (["a-run", "--validation", "p.csv"], 2, "--calibrate temperature"),
        (["a-run", "--data", "x", "--external", "y"], 2, "Received: both"),
        (["a-run", "--dataset", "x"], 2, "--external"),
        (["no-such-run"], 2, "no-such-run"),
        # Before the run is looked for, let alone asked to predict.
        (["no-such-run", "--part", "tst"], 2, "Did you mean 'test'?"),
        (["no-such-run", "--calibrate", "vectors"], 2, "Did you mean 'vector'?"),
        (["no-such-run", "--coverage", "1"], 2, "`coverage` must lie between 0 and 1, both excluded"),
        (["no-such-run", "--draws", "5"], 2, "`draws` must be at least 100"),
        (["--predictions", "missing.csv"], 3, "No such file"),
        (["--predictions", "p.txt"], 3, "must end in .csv or .parquet"),
    ],
)
def test_wrong_use_is_one_line(invoke, arguments, code, words):
    done = invoke("evaluate", *arguments)
    assert done.code == code
    assert len(done.err.splitlines()) == 1 and words in done.err


def test_wrong_values(invoke, published):
    same = ("evaluate", "--predictions", published)
    assert invoke(*same, "--draws", 5).code == 2
    assert invoke(*same, "--validation", published, *FEW).code == 2
    shorter = edited(published, "short.csv", lambda t: t.iloc[1:])
    assert invoke(*same, "--against", shorter, *FEW).code == 3


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of seconds on the built-in sample."""
    from skinzoo.config import make_config
    from skinzoo.training.trainer import train

    home = tmp_path_factory.mktemp("home")
    settings = (
        "data.dataset=sample", "data.options.images=90", "data.protocol_options.folds=3",
        "training.batch_size=8", "training.epochs=1",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(home))
        config = make_config("cnn", recipe="default", assignments=list(settings))
        return home, train(config, folder=home / "runs", name="tiny").run


@pytest.fixture
def at_home(trained, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(trained[0]))
    return trained[1]


def test_a_run_is_evaluated_into_its_own_folder(invoke, at_home):
    found = invoke("evaluate", "tiny", "--calibrate", "temperature", "--coverage", 0.8, "--json", *FEW).json
    folder = at_home / "evaluation"
    assert {path.name for path in (folder / "test").iterdir()} == {
        "predictions.csv", "report.html", "report.md", "report.json", "figures",
    }  # fmt: skip
    kept = json.loads((folder / "calibration.json").read_text())
    assert kept["calibration"]["method"] == "temperature" and kept["conformal"]["coverage"] == 0.8
    card = json.loads((at_home / "card.json").read_text())
    provenance = found["provenance"]
    assert provenance["variant"] == "cnn" and provenance["protocol"] == "lesion"
    assert provenance["recipe_hash"] == card["recipe_hash"]
    assert provenance["split_hash"] == card["split"]["hash"]
    assert {group["by"] for group in found["subgroups"]["groups"]} >= {"sex", "age", "localization"}
    again = invoke("evaluate", "--predictions", folder / "test" / "predictions.csv", "--json", *FEW).json
    assert again["by_image"]["overall"] == pytest.approx(found["by_image"]["overall"])
    assert again["provenance"]["name"] == "tiny"


def test_its_numbers_are_those_of_the_python_api(invoke, at_home):
    from skinzoo import load_run

    scores = load_run(at_home).evaluate("validation")
    found = invoke("evaluate", "tiny", "--part", "validation", "--json", *FEW).json["by_image"]
    assert found["cases"] == scores.cases
    assert found["overall"]["accuracy"] == pytest.approx(scores.accuracy)
    assert found["overall"]["macro_f1"] == pytest.approx(scores.macro_f1)


def test_test_time_augmentation_and_a_wrong_part(invoke, at_home, tmp_path):
    found = invoke("evaluate", "tiny", "--tta", "dihedral", "--to", tmp_path / "tta", "--json", *FEW).json
    assert found["provenance"]["steps"] == ["mean of 8 views (dihedral)"]
    plain = pd.read_csv(at_home / "evaluation" / "test" / "predictions.csv")
    turned = pd.read_csv(tmp_path / "tta" / "predictions.csv")
    assert (plain["image_id"] == turned["image_id"]).all()
    assert 0 < np.abs(plain[CLASSES] - turned[CLASSES]).to_numpy().max() < 0.9
    assert invoke("evaluate", "tiny", "--part", "tests").code == 2
    assert invoke("evaluate", "tiny", "--tta", "flip").code == 2


def test_external_data(invoke, at_home, tmp_path):
    from skinzoo.data.sample import SampleOptions, draw_sample

    draw_sample(tmp_path / "other", SampleOptions(images=60, seed=7, width=64))
    done = invoke("evaluate", "tiny", "--external", tmp_path / "other", *FEW)
    # The sample names its images by number, so other pictures carry the names of the training part.
    assert done.code == 3 and "no image of the run's own training" in done.err
    metadata = next((tmp_path / "other").rglob("*.csv"))
    text = metadata.read_text()
    for path in (tmp_path / "other").rglob("*.jpg"):
        path.rename(path.with_name("X" + path.name))
        text = text.replace(path.stem, "X" + path.stem)
    metadata.write_text(text)
    done = invoke("evaluate", "tiny", "--external", tmp_path / "other", "--json", *FEW)
    assert done.json["provenance"]["protocol"] == "external"
    assert done.json["by_image"]["cases"] == 60
