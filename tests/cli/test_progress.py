"""The line that a training begins with."""

import pytest

from skinzoo.cli.progress import describe_beginning

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
