import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skinzoo.config import make_config
from skinzoo.training.listener import Listener
from skinzoo.training.runs import RunFolder
from skinzoo.training.trainer import train

TINY = (
    "data.dataset=sample",
    "data.options.images=90",
    "data.protocol_options.folds=3",
    "training.batch_size=8",
    "training.epochs=3",
    # A second size is a second graph to trace.
    "training.small_epochs=0",
)
TIMES = ("seconds", "images_per_second")


class Recorder(Listener):
    """Keeps what a training says."""

    report_seconds = 0.0

    def __init__(self):
        self.notices = []
        self.beginning = None
        self.steps = []
        self.rows = []

    def notice(self, text):
        self.notices.append(text)

    def began(self, summary):
        self.beginning = summary

    def stepped(self, report):
        self.steps.append(report)

    def epoch_ended(self, row, best):
        self.rows.append((row, best))


@pytest.fixture(scope="session")
def sample_home(tmp_path_factory):
    """A home whose caches all tests of a session share; the sample is painted and decoded once."""
    return tmp_path_factory.mktemp("training-home")


@pytest.fixture(autouse=True)
def shared_caches(sample_home, isolated_home, monkeypatch):
    monkeypatch.setenv("SKINZOO_HOME", str(sample_home))


@pytest.fixture
def tiny():
    """Return a configuration of a training that takes seconds."""

    def make(*assignments, recipe="default", variant="cnn"):
        given = {text.partition("=")[0] for text in assignments}
        defaults = [text for text in TINY if text.partition("=")[0] not in given]
        return make_config(variant, recipe=recipe, assignments=[*defaults, *assignments])

    return make


@pytest.fixture
def tiny_train(tiny, tmp_path):
    """Train such a configuration and return run, result and what was said."""

    def carry_out(*assignments, name=None, **options):
        recorder = Recorder()
        result = train(tiny(*assignments, **options), folder=tmp_path / "runs", name=name, listener=recorder)
        return RunFolder(result.run), result, recorder

    return carry_out


@pytest.fixture
def recorder():
    return Recorder()


def without_times(history):
    """Return the rows of a history without what a clock says."""
    return [{key: value for key, value in row.items() if key not in TIMES} for row in history]


def weights_of(run):
    """Return the best weights of a run."""
    epoch = json.loads((run.path / "card.json").read_text())["best_epoch"]
    return run.checkpoints.best(epoch)


def same_weights(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def command(*arguments, home):
    """Return the process of a `skinzoo` command."""
    return _process("-m", "skinzoo", *arguments, home=home)


def program_of(program, *arguments, home):
    """Return the process of a program in Python."""
    return _process("-c", program, *arguments, home=home)


def _process(*arguments, home):
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SKINZOO_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "3"},
        cwd=Path(home),
    )
