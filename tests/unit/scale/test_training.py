"""One training in two processes of a local cluster: real collective sums, real signals, real kills."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="the extra ray is not installed")

# Dropout draws other numbers on each worker; a plugin of its own takes it out in all processes.
PLUGIN = """
import keras
from skinzoo.api import hookimpl

class NoDropout(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.model.get_layer("attention_dropout").rate = 0.0

@hookimpl
def skinzoo_callbacks(run):
    return [NoDropout()]
"""
# A network without batch normalisation and augmentation, and full batches in a fixed order.
SETTINGS = (
    "data.options.images=90",
    "data.protocol_options.folds=3",
    "model.attention=none",
    "model.fusion=concat4096",
    "training.batch_size=8",
    "training.steps_per_epoch=3",
    "training.patience=none",
    "augmentation.horizontal_flip=false",
    "augmentation.vertical_flip=false",
    "augmentation.rotation=0",
    "augmentation.shift=0",
    "augmentation.zoom=0",
)
EPOCHS = 6
LIMIT = 600


def command(home, name, *more):
    settings = [word for text in SETTINGS for word in ("--set", text)]
    words = ["train", "cnn", "--data", "sample", "--epochs", EPOCHS, "--name", name, *settings, *more]
    return started(home, *words)


def started(home, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "skinzoo", *map(str, words)],
        cwd=home,
        env={**os.environ, "SKINZOO_HOME": str(home), "PYTHONPATH": str(home / "plugins")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(process, code=0):
    try:
        said, _ = process.communicate(timeout=LIMIT)
    finally:
        process.kill()
    assert process.returncode == code, said
    return said


def run_folder(home, name):
    from skinzoo.training.runs import RunFolder

    return RunFolder(home / "runs" / name)


def wait_for_epochs(home, name, count, process):
    until = time.monotonic() + LIMIT
    while len(run_folder(home, name).history()) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until
        time.sleep(0.02)


def workers_of(process):
    """Return the processes in which Ray trains, of the cluster that a command has started."""
    found = []
    for status in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"TrainWorker" in status.read_bytes() and ancestor(int(status.parent.name), process.pid):
                found.append(int(status.parent.name))
        except OSError:
            continue
    return sorted(found)


def ancestor(pid, wanted):
    while pid > 1:
        if pid == wanted:
            return True
        text = Path(f"/proc/{pid}/stat").read_text()
        pid = int(text.rpartition(")")[2].split()[1])
    return False


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    information = home / "plugins" / "no_dropout-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: no-dropout\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[skinzoo]\nno_dropout = no_dropout\n")
    (home / "plugins" / "no_dropout.py").write_text(PLUGIN)
    return home


@pytest.fixture(scope="module")
def alone(home):
    finished(command(home, "alone"))
    return run_folder(home, "alone")


def assert_same(run, other):
    rows, others = run.history(), other.history()
    assert len(rows) == len(others) == EPOCHS
    for row, one in zip(rows, others, strict=True):
        for name in ("loss", "val_loss", "val_accuracy", "val_balanced_accuracy"):
            assert row[name] == pytest.approx(one[name], abs=1e-4), (row["epoch"], name)
    assert run.card()["best_epoch"] == other.card()["best_epoch"]
    from skinzoo.runs import load_run

    weights = [load_run(r.path).model.get_weights() for r in (run, other)]
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_two_workers_train_as_one_process_does(home, alone):
    finished(command(home, "shared", "--workers", 2))
    shared = run_folder(home, "shared")
    assert_same(shared, alone)
    assert shared.card()["hardware"]["replicas"] == 2


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_what_came_after_the_checkpoint(home, alone):
    process = command(home, "killed", "--workers", 2)
    wait_for_epochs(home, "killed", 3, process)
    workers = workers_of(process)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    said = finished(process)
    assert "a worker was lost; going on from the newest checkpoint" in said
    assert_same(run_folder(home, "killed"), alone)


@pytest.mark.slow
def test_a_signal_stops_all_workers_after_the_same_step_and_the_run_goes_on(home, alone):
    process = command(home, "stopped", "--workers", 2)
    wait_for_epochs(home, "stopped", 2, process)
    os.kill(process.pid, signal.SIGTERM)
    said = finished(process, 130)
    assert "everything is saved" in said and "skinzoo train --resume" in said
    assert 2 <= len(run_folder(home, "stopped").history()) < EPOCHS
    finished(started(home, "train", "--resume", "stopped"))
    assert_same(run_folder(home, "stopped"), alone)
