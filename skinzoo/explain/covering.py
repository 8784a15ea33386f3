"""Maps that come from covering pieces of an image: occlusion and Kernel SHAP.

A piece is covered by the image's mean colour. Unlike what comes from inside a model, these maps have a unit,
points of probability, and a sign: a piece can speak against the class.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from skinzoo.errors import UsageError
from skinzoo.extras import require

OCCLUSION, SHAP = "occlusion", "shap"
SAMPLES = 500
"""Coverings that Kernel SHAP tries; some ten for each of 49 pieces."""

Predict = Callable[[np.ndarray], np.ndarray]
"""From uint8 images `(n, s, s, 3)` to probabilities `(n, classes)`."""


def occlusion(predict: Predict, pixels: np.ndarray, pieces: np.ndarray, target: int) -> np.ndarray:
    """Return by how much a class's probability falls when each piece is covered (Zeiler and Fergus 2014).

    Args:
        predict: From images to probabilities.
        pixels: uint8 RGB `(s, s, 3)`.
        pieces: Label of each pixel, `(s, s)`, from 0.
        target: Class index.

    Returns:
        float32 `(s, s)`: the fall, at all pixels of the piece; negative where the class gains.
    """
    count = int(pieces.max()) + 1
    shown = np.vstack([np.ones((1, count), bool), ~np.eye(count, dtype=bool)])
    probabilities = predict(covered(pixels, pieces, shown))[:, target]
    return (probabilities[0] - probabilities[1:]).astype(np.float32)[pieces]


def kernel_shap(
    predict: Predict,
    pixels: np.ndarray,
    pieces: np.ndarray,
    target: int,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Return Shapley values of the pieces for a class's probability (Lundberg and Lee 2017).

    They add up to the probability of the image less that of the image with every piece covered.

    Args:
        predict: From images to probabilities.
        pixels: uint8 RGB `(s, s, 3)`.
        pieces: Label of each pixel, `(s, s)`, from 0.
        target: Class index.
        samples: Coverings to try, at least two for each piece.
        seed: Seed of the coverings.

    Returns:
        float32 `(s, s)`: the value, at all pixels of the piece.

    Raises:
        MissingExtraError: The package `shap` is not installed.
        UsageError: There are too few samples.
    """
    shap = load_shap()
    count = int(pieces.max()) + 1
    if samples < 2 * count:
        raise UsageError(
            f"`shap_samples` must be at least two for each of {count} superpixels, {2 * count}. "
            f"Received: {samples}."
        )

    def probability(shown: np.ndarray) -> np.ndarray:
        return predict(covered(pixels, pieces, shown > 0.5))[:, target].astype(np.float64)

    state = np.random.get_state()
    try:
        # shap draws from NumPy's global generator.
        np.random.seed(seed)
        explainer = shap.KernelExplainer(probability, np.zeros((1, count)))
        values = explainer.shap_values(np.ones((1, count)), nsamples=samples, l1_reg=False, silent=True)
    finally:
        np.random.set_state(state)
    return np.asarray(values, np.float32).reshape(count)[pieces]


def covered(pixels: np.ndarray, pieces: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Return copies of an image with pieces covered by its mean colour.

    Args:
        pixels: uint8 RGB `(s, s, 3)`.
        pieces: Label of each pixel, `(s, s)`, from 0.
        shown: Whether each piece is shown in each copy, bool `(n, pieces)`.

    Returns:
        uint8 `(n, s, s, 3)`.
    """
    colour = np.rint(pixels.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    return np.where(shown[:, pieces][..., None], pixels, colour)


def load_shap() -> Any:
    """Import shap, whose use of its neighbours warns.

    Raises:
        MissingExtraError: It is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return require("shap", extra="shap", purpose="Kernel SHAP")
