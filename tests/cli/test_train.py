"""`skinzoo train` and `skinzoo runs` as real processes."""

import json
import os
import shutil
from pathlib import Path

import pytest

TINY = (
    *("--data", "sample", "--set", "data.options.images=90", "--set", "data.protocol_options.folds=3"),
    *("--epochs", "2", "--batch-size", "8"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def same_home(home, isolated_home, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(home))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((), 2, "VARIANT or --resume RUN must be given"),
        (("cnnn",), 4, "Did you mean 'cnn'?"),
        (("cnn", "--recipe", "papr"), 4, "Did you mean 'paper'?"),
        (("cnn", "--set", "training.epoch=3"), 2, "Did you mean 'epochs'?"),
        (("cnn", "--epochs", "0"), 2, "`training.epochs` must be at least 1"),
        (("cnn", "--data", "/none"), 3, "'/none'"),
        (("cnn", "--config", "/none.toml"), 2, "`--config` must be a file"),
        (("cnn", "--precision", "half"), 2, "`hardware.precision` must be one of"),
        (("cnn", "--attention", "sofft"), 4, "Did you mean 'soft'?"),
        (("cnn", "--fusion", "gatet"), 4, "Did you mean 'gated'?"),
        (("cnn", "--cut", "conv9"), 2, "`cut` must be one of whole, conv3"),
        (("cnn", "--protocol", "lesoin"), 2, "Did you mean 'lesion'?"),
        (("cnn", "--split", "/none.json"), 3, "/none.json"),
        (("cnn", "--weights", "/none.h5"), 5, "which is not a file"),
        (("cnn", "--weights", "imagenet"), 5, "there are no ImageNet weights for it"),
        (("cnn", "--name", "../x"), 2, "`--name` must be"),
        (("cnn", "--set", "loss.name=weighted_cee"), 4, "Did you mean 'weighted_ce'?"),
        (("cnn", "--set", "loss.options.powr=1"), 2, "Did you mean 'power'?"),
        (("cnn", "--set", "loss.options.power=-1"), 2, "`power` must be finite, at least 0"),
        (("cnn", "--recipe", "focal_resnet50", "--set", "loss.options.gamma=x"), 2, "must be a number"),
        (("cnn", "--recipe", "paper", "--set", "loss.class_weights=counts"), 2, "Received: 'counts'"),
        (("cnn", "--verbose"), 2, "--verbose must come with --dry-run"),
        (("cnn", "--json"), 2, "--json must come with --dry-run"),
        (("--resume", "latest", "--epochs", "3"), 2, "--resume must come alone"),
        (("--resume", "nothing"), 2, "There are no runs"),
    ],
)
def test_wrong_use_is_one_line_with_its_code(cli, tmp_path, arguments, code, message):
    result = cli("train", *arguments, env={"SKINZOO_HOME": str(tmp_path)})
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_train_list_and_resume(cli, home):
    result = cli("train", "cnn", *TINY, "--name", "first", "--tensorboard", "--fusion", "image_only")
    assert result.returncode == 0, result.stderr
    run = home / "runs" / "first"
    assert f"Evaluate it with: skinzoo evaluate {run}" in result.stdout
    assert "epoch 2 (whole): loss" in result.stderr
    assert "WARNING" not in result.stderr
    assert list((run / "tensorboard").glob("events*"))
    config = json.loads((run / "config.json").read_text())
    assert config["config"]["model"]["fusion"] == "image_only"
    listed = cli("runs")
    assert "first" in listed.stdout
    assert "finished" in listed.stdout
    (found,) = json.loads(cli("runs", "--json").stdout)
    assert (found["name"], found["epochs"], found["recipe"]) == ("first", 2, "scratch")
    again = cli("train", "--resume", "fir")
    assert again.returncode == 2
    assert "which is finished" in again.stderr


def test_no_runs(cli, tmp_path):
    result = cli("runs", "--out", str(tmp_path))
    assert result.returncode == 0
    assert "There are no runs" in result.stdout


def test_a_dry_run_prints_all_and_trains_nothing(invoke, home, tmp_path):
    plan = invoke("train", "cnn", *TINY, "--dry-run", "--json", "--out", tmp_path).json
    assert plan["settings"]["training"]["epochs"] == 2
    assert plan["parameters"] == 198_011
    assert plan["seconds_per_step"] > 0
    assert plan["feature_seconds"] is None
    assert not list(tmp_path.iterdir())


def test_a_dry_run_shows_the_summary_and_what_was_changed(invoke):
    result = invoke("train", "cnn", *TINY, "--recipe", "frozen", "--dry-run", columns=80)
    assert result.code == 0, result.err
    assert result.out.startswith("recipe   frozen (hash ")
    assert "of it to" in result.out, "the time for computing features"
    summary, _, changes = result.out.partition("changed in frozen")
    assert "steps    2 epochs of 32 steps" in summary
    changed = [
        line.split()[0] for line in changes.splitlines()[2:] if line.startswith(("data.", "training."))
    ]
    assert changed == [
        "data.dataset",
        "data.options",
        "data.protocol_options",
        "training.epochs",
        "training.batch_size",
    ]
    assert "--verbose" in changes.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workers", "3"), "must be a multiple of the 3 workers"),
        (("--workers", "2", "--recipe", "frozen"), "must be 1 for method 'frozen'"),
        (("--address", "127.0.0.1:1"), "--address must come with a training on several workers"),
    ],
)
def test_what_workers_cannot_do_is_said_before_anything_is_written(invoke, home, arguments, message):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    done = invoke("train", "cnn", *TINY, "--name", "never", *arguments)
    assert done.code == 2
    assert message in done.err
    assert not (home / "runs" / "never").exists()


def test_mlflow_is_an_extra(cli):
    try:
        import mlflow  # noqa: F401
    except ModuleNotFoundError:
        result = cli("train", "cnn", *TINY, "--mlflow")
        assert result.returncode == 2
        assert 'pip install "skinzoo[mlflow]"' in result.stderr
    else:
        pytest.skip("mlflow is installed")


def test_skip_bad_leaves_out_counts_and_lists_damaged_images(cli, invoke, tmp_path, sample_folder):
    data = tmp_path / "damaged"
    shutil.copytree(sample_folder, data)
    damaged = sorted(data.rglob("*.jpg"))[:4]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:300])
    refused = invoke(
        "train", "cnn", "--data", data, "--epochs", "1", "--set", "data.protocol_options.folds=5"
    )
    assert refused.code == 3
    assert damaged[0].stem in refused.err
    done = cli(
        *("train", "cnn", "--data", str(data), "--epochs", "1", "--skip-bad", "--name", "damaged"),
        *("--set", "data.protocol_options.folds=5"),
    )
    assert done.returncode == 0, done.stderr
    assert "4 rows are left out of the data" in done.stderr
    card = json.loads((Path(os.environ["SKINZOO_HOME"]) / "runs" / "damaged" / "card.json").read_text())
    assert sorted(entry["image_id"] for entry in card["left_out"]) == [path.stem for path in damaged]
    used = sum(sum(counts.values()) for counts in card["split"]["counts"].values())
    assert used == len(list(data.rglob("*.jpg"))) - 4
    split = invoke("data", "split", data, "--skip-bad", "--folds", "5", "--to", tmp_path / "s.json")
    assert split.code == 0, split.err
    assert "4" in split.out
    scored = invoke("evaluate", "damaged", "--json")
    assert scored.code == 0, scored.err
