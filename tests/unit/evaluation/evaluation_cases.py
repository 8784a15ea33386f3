"""Predictions to evaluate: the confusion matrix of a published run, and simulated ones."""

import numpy as np
import pandas as pd

from skinzoo.evaluation.predictions import make_predictions

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PUBLISHED = np.array(
    [
        [20, 4, 5, 0, 2, 2, 0],
        [1, 38, 2, 1, 2, 7, 0],
        [4, 3, 86, 1, 6, 9, 0],
        [0, 1, 1, 9, 0, 1, 0],
        [0, 2, 4, 0, 74, 31, 0],
        [1, 2, 12, 1, 16, 633, 1],
        [0, 0, 0, 0, 0, 1, 13],
    ]
)
"""DenseNet201 with metadata, run M6 of Nguyen et al.: rows are true classes."""


def of_confusion(matrix, classes=CLASSES):
    true, predicted = (np.repeat(np.indices(matrix.shape)[axis].ravel(), matrix.ravel()) for axis in (0, 1))
    table = pd.DataFrame(
        np.where(predicted[:, None] == np.arange(len(classes)), 0.88, 0.12 / (len(classes) - 1)),
        columns=list(classes),
    )
    table["image_id"] = [f"image{i}" for i in range(len(true))]
    table["true"] = [classes[i] for i in true]
    return make_predictions(table)


def simulated(cases=500, *, seed=0, classes=CLASSES, sharpness=2.0, lesions=None, decimals=None, facts=False):
    """Cases of a softmax model that is calibrated by construction: the truth is drawn from its output."""
    rng = np.random.default_rng(seed)
    count = len(classes)
    logits = rng.normal(size=(cases, count)) * sharpness + np.linspace(0, 1.5, count)
    if decimals is not None:
        logits = logits.round(decimals)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    true = (rng.random((cases, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    table = pd.DataFrame(probabilities, columns=list(classes))
    table["image_id"] = [f"image{i}" for i in range(cases)]
    table["true"] = np.array(classes)[true]
    if lesions:
        owner = rng.integers(lesions, size=cases)
        table["lesion_id"] = [f"lesion{i}" for i in owner]
    if facts:
        table["age"] = np.where(rng.random(cases) < 0.05, np.nan, rng.integers(1, 18, cases) * 5.0)
        table["sex"] = rng.choice(["female", "male", "unknown"], cases, p=[0.48, 0.48, 0.04])
        table["localization"] = rng.choice(["back", "face", "trunk", "ear"], cases, p=[0.4, 0.3, 0.28, 0.02])
        table["confirmation"] = rng.choice(["histo", "follow_up", "consensus"], cases)
    return make_predictions(table)
