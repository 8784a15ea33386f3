"""`skinzoo ensemble`, and `skinzoo evaluate` on several runs, corrupted, other and exported images."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "serving"))
from processes import serving

CLASSES = ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"]
FEW = ("--draws", "100")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Runs of seconds on the built-in sample: two alike, one of another size, one of another split."""
    from skinzoo.config import make_config
    from skinzoo.training.trainer import train

    home = tmp_path_factory.mktemp("home")
    settings = (
        "data.dataset=sample", "data.options.images=90", "training.batch_size=8", "training.epochs=1",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKINZOO_HOME", str(home))
        for name, more in {
            "one": ["data.protocol_options.folds=3", "training.seed=1"],
            "two": ["data.protocol_options.folds=3", "training.seed=2"],
            "large": ["data.protocol_options.folds=3", "model.image_size=40"],
            "elsewhere": ["data.protocol_options.folds=4"],
        }.items():
            config = make_config("cnn", recipe="default", assignments=[*settings, *more])
            train(config, folder=home / "runs", name=name)
    return home


@pytest.fixture
def runs(trained, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(trained))
    monkeypatch.chdir(trained)
    return trained / "runs"


def predicted(folder):
    return pd.read_csv(folder / "predictions.csv")[["image_id", *CLASSES]].set_index("image_id")


def test_several_runs_are_evaluated_by_their_mean(invoke, runs, tmp_path):
    # Sizes may differ: each member decodes for itself.
    names = [runs / "one", runs / "large"]
    found = invoke("evaluate", *names, "--to", tmp_path / "both", "--json", *FEW).json
    assert found["provenance"]["steps"] == ["mean of 2 runs: one, large"]
    for name in names:
        assert invoke("evaluate", name, "--to", tmp_path / name.name, "--json", *FEW).code == 0
    members = [predicted(tmp_path / one.name) for one in names]
    pd.testing.assert_frame_equal(predicted(tmp_path / "both"), sum(members) / 2, atol=1e-6, rtol=0)


def test_a_choice_is_said_with_what_it_was_made_on(invoke, runs, tmp_path):
    both = (runs / "one", runs / "two")
    found = invoke("evaluate", *both, "--combine", "subset", "--to", tmp_path, "--json", *FEW).json
    chosen = found["provenance"]["ensemble"]
    assert chosen["chosen_on"] == "validation" and chosen["criterion"] == "balanced accuracy"
    validation = json.loads((runs / "one" / "card.json").read_text())["split"]["counts"]["validation"]
    cases = sum(validation.values())
    assert chosen["cases"] == cases and sum(chosen["weights"]) == pytest.approx(1)
    for report in ("report.html", "report.md"):
        assert f"chosen on {cases} validation images" in (tmp_path / report).read_text()


@pytest.mark.parametrize("method", ["weighted", pytest.param("mean", marks=pytest.mark.slow)])
def test_a_saved_ensemble_is_a_run_like_any_other(invoke, runs, tmp_path, method):
    from skinzoo import load_run
    from skinzoo.model import attention_model

    both, name = (runs / "one", runs / "two"), f"saved-{method}"
    saved = invoke("ensemble", *both, "--name", name, "--combine", method, "--out", runs, "--json").json
    assert saved["attention_map"] and saved["run"] == str(runs / name)
    together = invoke("evaluate", *both, "--combine", method, "--to", tmp_path / "a", "--json", *FEW).json
    alone = invoke("evaluate", runs / name, "--to", tmp_path / "b", "--json", *FEW).json
    pd.testing.assert_frame_equal(predicted(tmp_path / "a"), predicted(tmp_path / "b"), atol=1e-6, rtol=0)
    for key in ("variant", "recipe_hash", "split_hash", "steps"):
        assert alone["provenance"][key] == together["provenance"][key]
    card = json.loads((runs / name / "card.json").read_text())
    assert [one["name"] for one in card["ensemble"]["models"]] == list(card["ensemble"]["chosen"])
    [listed] = [one for one in invoke("runs", "--out", runs, "--json").json if one["name"] == name]
    assert listed["scores"] == pytest.approx(saved["scores"]) and listed["best_epoch"] is None
    run = load_run(runs / name)
    assert run.evaluate("validation").accuracy == pytest.approx(saved["scores"]["val_accuracy"])
    assert attention_model(run.model).output.shape[1:] == (8, 8)
    assert invoke("ensemble", *both, "--name", name, "--out", runs).code == 2
    explained = invoke("explain", runs / name)
    assert explained.code == 5 and "Name a member instead" in explained.err, explained.err
    shutil.rmtree(runs / name)


@pytest.mark.parametrize(
    ("names", "more", "code", "words"),
    [
        (["one"], [], 2, "at least two members"),
        (["one", "one"], [], 2, "different runs. Received: 'one' twice"),
        (["one", "elsewhere"], [], 3, "same split"),
        (["one", "large"], [], 5, "size 32 in 'one' and 40 in 'large'"),
        (["one", "two"], ["--combine", "median"], 2, "`combine` must be one of"),
        (["one", "two"], ["--name", "a/b"], 2, "`--name` must be"),
    ],
)
def test_runs_that_cannot_be_saved_together(invoke, runs, names, more, code, words):
    before = sorted(path.name for path in runs.iterdir())
    done = invoke("ensemble", *(runs / name for name in names), "--name", "new", "--out", runs, *more)
    assert done.code == code and words in done.err and len(done.err.splitlines()) == 1
    assert sorted(path.name for path in runs.iterdir()) == before


def test_corrupted_images_are_reported_and_repeatable(invoke, runs, tmp_path):
    arguments = ("evaluate", runs / "one", "--corrupt", "--to", tmp_path, *FEW)
    found = invoke(*arguments, "--json").json
    robustness = found["robustness"]
    assert set(robustness["corruptions"]) == {"blur", "jpeg", "brightness", "occlusion"}
    assert [len(one["strengths"]) for one in robustness["corruptions"].values()] == [5] * 4
    assert robustness["clean"] == pytest.approx(found["by_image"]["overall"]["balanced_accuracy"])
    assert "decoded square" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "figures" / "robustness.png").stat().st_size > 5000
    assert "Balanced accuracy on corrupted images" in invoke(*arguments, columns=80).out
    assert json.loads((tmp_path / "report.json").read_text())["robustness"] == robustness


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """Images of noise in two classes, one of them named like a class of the runs."""
    folder = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(0)
    for name in ("scar", "mel"):
        (folder / name).mkdir()
        for number in range(12):
            pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{name}{number}.png")
    return folder


def test_images_of_another_kind_are_told_apart(invoke, runs, noise, tmp_path):
    found = invoke("evaluate", runs / "one", "--ood", noise, "--to", tmp_path, "--json", *FEW).json
    ood = found["out_of_distribution"]
    assert (ood["cases"], ood["other_cases"], ood["fitted_on"]["part"]) == (30, 24, "train")
    scores = {one["name"]: one for one in ood["scores"]}
    assert set(scores) == {"isolation_forest", "mahalanobis", "energy", "confidence"}
    assert scores["mahalanobis"]["auroc"] > 0.9
    table = pd.read_csv(tmp_path / "ood_scores.csv")
    assert len(table) == 54 and table["out"].sum() == 24 and not table.isna().any(axis=None)
    assert "Normal images against images of another kind" in (tmp_path / "report.html").read_text()
    one = invoke("evaluate", runs / "one", "--ood", noise, "--ood-class", "scar", "--to", tmp_path, *FEW)
    assert "30 images of the test part against 12 of folder, class scar" in one.out


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["--ood-class", "scar"], 2, "--ood-class must come with --ood"),
        (["--ood", "{noise}", "--ood-class", "mel"], 2, "trained without"),
        (["--ood", "{noise}", "--ood-class", "scarr"], 3, "Did you mean 'scar'?"),
        (["--ood", "{noise}", "--part", "train"], 2, "fitted on"),
        (["--ood", "nowhere"], 3, "nowhere"),
        (["--combine", "subset"], 2, "several runs"),
        (["--predictions-format", "xlsx"], 2, "csv, parquet"),
        (["--split", "x.json"], 2, "export or --server"),
        (["--server", "localhost:1"], 2, "Received: both"),
    ],
)
def test_wrong_use_is_one_line(invoke, runs, noise, more, code, words):
    arguments = [one.format(noise=noise) for one in more]
    done = invoke("evaluate", runs / "one", *arguments, *FEW)
    assert done.code == code and words in done.err and len(done.err.splitlines()) == 1


def test_members_of_other_splits_are_refused(invoke, runs):
    done = invoke("evaluate", runs / "one", runs / "elsewhere", *FEW)
    assert done.code == 3 and "same split" in done.err and "--split" in done.err


@pytest.fixture(scope="module")
def exported(trained):
    """The version folder of an export of run `one`, named `tiny`."""
    from skinzoo import load_run
    from skinzoo.export.of_run import export_run

    run = load_run(trained / "runs" / "one")
    return export_run(run, trained / "exports", name="tiny", warmup_batches=(1,)).path


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The data of the runs, in another place."""
    from skinzoo.data.sample import SampleOptions, draw_sample

    folder = tmp_path_factory.mktemp("data")
    draw_sample(folder, SampleOptions(images=90))
    return folder


def check_like_its_run(found, expected):
    assert found["provenance"]["name"] == "tiny/1"
    for key in ("split_hash", "recipe_hash", "variant", "protocol"):
        assert found["provenance"][key] == expected["provenance"][key]
    assert found["by_image"]["cases"] == expected["by_image"]["cases"] > 0
    assert found["by_image"]["overall"] == pytest.approx(expected["by_image"]["overall"], abs=1e-4)


def test_an_export_gives_the_scores_of_its_run(invoke, runs, exported, data, tmp_path):
    arguments = ("--data", data, "--to", tmp_path, *FEW)
    expected = invoke("evaluate", runs / "one", "--json", *FEW).json
    # Its card states how the split is made, which is not by the defaults: --split is not needed.
    for split in ((), ("--split", runs / "one" / "split.json")):
        check_like_its_run(invoke("evaluate", exported.parent, *arguments, *split, "--json").json, expected)
    other = invoke("evaluate", exported, *arguments, "--split", runs / "elsewhere" / "split.json")
    assert other.code == 3 and "must be the one that 'tiny/1' was trained on" in other.err
    assert "--data must come" in invoke("evaluate", exported).err
    assert invoke("evaluate", exported, *arguments, "--corrupt").code == 2


def test_a_served_model_gives_the_scores_of_its_run(invoke, runs, exported, data, tmp_path):
    arguments = ("--data", data, "--to", tmp_path / "report", *FEW)
    expected = invoke("evaluate", runs / "one", "--json", *FEW).json
    with serving(exported.parent, home=tmp_path) as (_, address, _):
        for model in ((), ("--model", "tiny")):
            found = invoke("evaluate", "--server", address, *model, *arguments, "--json")
            check_like_its_run(found.json, expected)
            assert found.json["provenance"]["steps"] == [f"answers of the server {address}"]
        pd.testing.assert_frame_equal(
            predicted(tmp_path / "report"),
            predicted(runs / "one" / "evaluation" / "test"),
            atol=1e-4,
            rtol=0,
        )
        shown = invoke("evaluate", "--server", address, *arguments)
        assert shown.code == 0 and "tiny/1" in shown.out
        for more, code, words in (
            (["--model", "other", *arguments], 6, "must have the model"),
            ([*arguments, "--split", runs / "elsewhere" / "split.json"], 3, "must be the one that"),
            ([*arguments, "--tta", "flips"], 2, "must come with a run"),
            ([*FEW], 2, "--data must come"),
        ):
            done = invoke("evaluate", "--server", address, *more)
            assert done.code == code and words in done.err and len(done.err.splitlines()) == 1, done.err
    gone = invoke("evaluate", "--server", address, *arguments)
    assert gone.code == 6 and "must be available" in gone.err


def test_parquet_predictions(invoke, runs, tmp_path):
    pytest.importorskip("pyarrow")
    done = invoke(
        "evaluate", runs / "one", "--to", tmp_path, "--predictions-format", "parquet", "--json", *FEW
    )
    again = invoke("evaluate", "--predictions", tmp_path / "predictions.parquet", "--json", *FEW)
    assert again.json["by_image"]["overall"] == pytest.approx(done.json["by_image"]["overall"])
    assert not (tmp_path / "predictions.csv").exists()
