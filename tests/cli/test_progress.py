"""What a training shows: the line that it begins with, and the bars of a terminal."""

from contextlib import contextmanager
from io import StringIO

import pytest
from rich.console import Console

from skinzoo.cli import render
from skinzoo.cli.progress import describe_beginning, training_listener
from skinzoo.training.listener import StepReport

SUMMARY = {
    "run": "runs/one",
    "variant": {"variant": "cnn"},
    "recipe": "scratch",
    "cases": {"train": 1200, "validation": 30},
    "steps": 5,
    "epochs": 1,
    "parameters": 1234,
    "weights": "none",
    "before": None,
    "precision": "float32",
    "devices": ["CPU:0"],
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "1,234 parameters, random weights, float32 on CPU:0. Run: runs/one"),
        ({"weights": "imagenet"}, "weights from imagenet, float32"),
        ({"before": (1, 3)}, "CPU:0. Going on in epoch 2 after step 3. Run"),
        ({"before": (2, 0)}, "Going on after epoch 2. Run"),
    ],
)
def test_it_says_what_is_trained_and_from_where(changes, words):
    line = describe_beginning(SUMMARY | changes)
    assert line.startswith(
        "Training cnn by recipe scratch on 1,200 train, 30 validation cases: 1 epoch of 5 steps"
    )
    assert words in line


@pytest.mark.parametrize("columns", [80, 120])
def test_features_and_steps_are_shown_side_by_side(columns):
    with terminal(columns) as (listener, shown):
        listener.prepared("Computing features", 640, 33_046)
        assert "Computing features" in shown()
        assert "640/33046" in shown()
        listener.began(SUMMARY)
        listener.prepared("Computing features", 2_178, 33_046)
        listener.stepped(
            StepReport(
                epoch=2,
                epochs=160,
                step=12,
                steps=32,
                phase="whole",
                images_per_second=721.5,
                loss=1.745,
                accuracy=0.656,
                seconds_left=154,
            )
        )
        features, steps = shown().splitlines()
        assert "Computing features: 2,178 of 33,046" in features
        assert "epoch 2/160 whole" in steps
        assert "2 min 34 s left" in steps
        listener.prepared("Computing features", 33_046, 33_046)
        assert "features" not in shown()


@contextmanager
def terminal(columns):
    """Give the listener of a terminal, and a function that returns what its bars look like."""
    console = Console(width=columns, file=StringIO(), force_terminal=True, color_system=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render, "console", lambda stderr: console)
        with training_listener() as listener:

            def shown():
                page = Console(width=columns, file=StringIO())
                page.print(listener._progress.get_renderable())
                return page.file.getvalue()

            yield listener, shown
