"""`skinzoo compare` and `skinzoo results` on a run of seconds and on the kept results."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

KEPT = Path(__file__).resolve().parents[2] / "docs" / "results"
RESULT = KEPT / "mobilenetv3small-128-lesion"
DRAWS = ("--draws", "100")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home with two evaluated runs, the second a copy with the predictions of another, and a third one."""
    from skinzoo.config import make_config
    from skinzoo.evaluation.evaluate import evaluate
    from skinzoo.evaluation.of_run import predict_part
    from skinzoo.evaluation.predictions import write_predictions
    from skinzoo.evaluation.report import write_report
    from skinzoo.runs import load_run
    from skinzoo.training.trainer import train

    home = tmp_path_factory.mktemp("home")
    settings = (
        "data.dataset=sample", "data.options.images=90", "data.protocol_options.folds=3",
        "training.batch_size=8", "training.epochs=1",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(home))
        config = make_config("cnn", recipe="default", assignments=list(settings))
        first = train(config, folder=home / "runs", name="first").run
        for name in ("second", "third"):
            shutil.copytree(first, home / "runs" / name)
            card = json.loads((first / "card.json").read_text())
            (home / "runs" / name / "card.json").write_text(json.dumps({**card, "name": name}))
        for name in ("first", "second"):
            run = load_run(home / "runs" / name)
            predictions, provenance = predict_part(run)
            if name == "second":
                predictions = predictions.with_probabilities(predictions.probabilities[:, ::-1])
            folder = run.path / "evaluation" / "test"
            write_predictions(predictions, folder / "predictions.csv")
            write_report(evaluate(predictions, provenance, draws=100), folder)
    return home


@pytest.fixture
def at_home(home, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(home))
    return home / "runs"


def test_results_lists_the_evaluated_runs_and_names_the_others(invoke, at_home):
    found = invoke("results", "--json", *DRAWS).json
    (group,) = found["groups"]
    assert {run["name"] for run in group["runs"]} == {"first", "second"}
    values = [run["value"] for run in group["runs"]]
    assert values == sorted(values, reverse=True) and values[0] > values[1]
    assert group["runs"][1]["minus_best"]["value"] == pytest.approx(values[1] - values[0])
    assert [one["command"] for one in found["left_out"]] == [f"skinzoo evaluate {at_home / 'third'}"]
    done = invoke("results", *DRAWS, columns=80)
    assert done.code == 0 and f"Run: skinzoo evaluate {at_home / 'third'}" in done.err
    assert all(len(line) <= 80 for line in done.out.splitlines())
    assert "sample, protocol lesion" in done.out and "minus the best" in done.out


def test_compare_by_name_and_prefix(invoke, at_home):
    done = invoke("compare", "fir", "second", "--by", "macro_f1", *DRAWS)
    assert done.code == 0 and "Macro F1" in done.out and "third" not in done.err
    done = invoke("compare", "first", "third", *DRAWS)
    assert done.code == 7 and "Received: 1 that cannot be listed, third." in done.err and "first" in done.out
    assert invoke("compare", "third", *DRAWS).code == 5
    assert "skinzoo evaluate" in invoke("compare", "third", *DRAWS).err


def test_different_splits_need_to_be_asked_for(invoke, at_home, tmp_path):
    done = invoke("compare", "first", RESULT)
    assert done.code == 2 and len(done.err.splitlines()) == 1
    assert "must stand on the same split" in done.err and "--across-splits" in done.err
    for suffix in (".md", ".csv", ".html", ".json"):
        path = tmp_path / f"out{suffix}"
        done = invoke("compare", "first", RESULT, "--across-splits", "--to", path, *DRAWS)
        assert done.code == 0 and f"Written: {path}" in done.out
        assert done.err.startswith("These runs stand on different splits")
        assert "mobilenetv3small-128-lesion" in path.read_text()
        assert suffix == ".csv" or "different splits" in path.read_text()
    assert list(pd.read_csv(tmp_path / "out.csv")["rank"]) == [1, 1]


def test_the_kept_results_stand_beside_the_paper(invoke):
    split = json.loads((RESULT / "evaluation.json").read_text())["provenance"]["split_hash"]
    found = invoke("results", KEPT, "--split", split, "--by", "accuracy", "--json").json
    (run,) = [one for g in found["groups"] for one in g["runs"] if one["name"] == RESULT.name]
    stated = json.loads((RESULT / "evaluation.json").read_text())["by_image"]
    assert run["value"] == stated["overall"]["accuracy"]
    assert run["interval"] == stated["intervals"]["metrics"]["accuracy"]
    assert run["published"][0]["value"] == 0.7751 and run["published"][0]["protocol"] == "paper"
    assert run["costs"]["parameters"] == 1_105_419


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["compare", "no-such-run"], 2, "no-such-run"),
        (["compare", RESULT, "--by", "acuracy"], 2, "Did you mean 'accuracy'"),
        (["compare", RESULT, "--to", "a.xls"], 2, "must end in"),
        (["compare", RESULT, "--draws", "5"], 2, "at least 100"),
        (["compare", RESULT, "--part", "tests"], 2, "`part` must be one of"),
        (["compare", RESULT, "--part", "validation"], 5, "its evaluation is of the test part"),
        (["compare", RESULT, "--costs", "none.json"], 3, "A profile must be a file"),
        (["compare", RESULT, "--split", "77"], 2, "--split must begin"),
        (["results", "no-such-folder"], 2, "no-such-folder"),
    ],
)
def test_wrong_use_is_one_line(invoke, arguments, code, words):
    done = invoke(*arguments)
    assert done.code == code
    assert len(done.err.splitlines()) == 1 and words in done.err


def test_no_runs_at_all(invoke, tmp_path, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path))
    done = invoke("results")
    assert done.code == 0 and "There are no runs in" in done.out
    assert invoke("results", "--json").json == {"groups": [], "left_out": []}


def test_no_tensorflow_is_imported(tmp_path):
    script = (
        "import sys; from skinzoo.cli import app\n"
        f"app(['results', {str(KEPT)!r}, '--across-splits', '--to', 'out.html'], standalone_mode=False)\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.html").exists()
