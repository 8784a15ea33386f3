"""Scores of how normal an image is, and how well they tell images of another kind apart.

Every score is larger for images like those of the training part. All of them are fitted on the training
part's features alone and never see an image of the other kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp, softmax

from skinzoo.errors import DataError
from skinzoo.evaluation.intervals import DRAWS, LEVEL, Interval, draw_weights, percentile_interval
from skinzoo.evaluation.weighted import Curve, Points

ISOLATION, MAHALANOBIS, ENERGY, CONFIDENCE = "isolation_forest", "mahalanobis", "energy", "confidence"
SENSITIVITY = 0.95
TREES = 200
FEWEST = 8
"""A class with fewer training images gets no forest of its own."""
DEFINITIONS = {
    ISOLATION: "0.5 - 2^(-mean path / usual path) of an isolation forest of 200 trees a class, the highest "
    "of all classes (DeepIF, Li et al. 2020)",
    MAHALANOBIS: "minus the squared Mahalanobis distance to the nearest class mean under one covariance for "
    "all classes (Lee et al. 2018), shrunk after Ledoit and Wolf (2004)",
    ENERGY: "log of the sum of the exponentiated logits (Liu et al. 2020, temperature 1)",
    CONFIDENCE: "probability of the predicted class (Hendrycks and Gimpel 2017), to compare with",
}


class NormalityScores:
    """Scores of how normal images are, fitted on training features.

    Args:
        features: Backbone features of the training part, `(n, d)`.
        labels: Class indices, `(n,)`.
        classes: Class names in order.
        seed: Seed of the forests.

    Raises:
        DataError: No class has enough training images.
    """

    def __init__(
        self, features: np.ndarray, labels: np.ndarray, classes: Sequence[str], *, seed: int = 0
    ) -> None:
        from sklearn.covariance import LedoitWolf
        from sklearn.ensemble import IsolationForest

        features = np.asarray(features, np.float64)
        present = np.unique(labels)
        enough = [one for one in present if (labels == one).sum() >= FEWEST]
        if not enough:
            raise DataError(
                f"At least one class must have {FEWEST} training images to fit what is normal. Received: at "
                f"most {np.bincount(labels).max() if len(labels) else 0}."
            )
        self.without_forest = tuple(classes[one] for one in present if one not in enough)
        self._forests = [
            IsolationForest(n_estimators=TREES, max_features=1.0, random_state=seed).fit(
                features[labels == one]
            )
            for one in enough
        ]
        self._means = np.stack([features[labels == one].mean(axis=0) for one in present])
        centred = features - self._means[np.searchsorted(present, labels)]
        fitted = LedoitWolf(assume_centered=True).fit(centred)
        self.shrinkage = float(fitted.shrinkage_)
        # Of the precision P = V V': distances are then plain sums of squares.
        values, vectors = np.linalg.eigh(fitted.covariance_)
        kept = values > values.max() * np.finfo(np.float64).eps * len(values)
        self._whiten = vectors[:, kept] / np.sqrt(values[kept])

    def __call__(self, features: np.ndarray, logits: np.ndarray) -> dict[str, np.ndarray]:
        """Return the scores of images.

        Args:
            features: Their backbone features, `(n, d)`.
            logits: Their logits, `(n, classes)`.

        Returns:
            Name of the score to `(n,)`, float64; larger is more normal.
        """
        features, logits = np.asarray(features, np.float64), np.asarray(logits, np.float64)
        # scikit-learn gives -2^(-path / usual path).
        isolated = np.stack([0.5 + forest.score_samples(features) for forest in self._forests])
        white, means = features @ self._whiten, self._means @ self._whiten
        distances = np.stack([((white - mean) ** 2).sum(axis=1) for mean in means])
        return {
            ISOLATION: isolated.max(axis=0),
            MAHALANOBIS: -distances.min(axis=0),
            ENERGY: logsumexp(logits, axis=1),
            CONFIDENCE: softmax(logits, axis=1).max(axis=1),
        }


@dataclass(frozen=True)
class Separation:
    """How well a score tells normal images from the others.

    Args:
        name: Name of the score.
        auroc: Area under the ROC curve: how often a normal image scores higher than another kind's; a tie
            counts half.
        auroc_interval: Its interval; None where the draws cannot tell.
        fpr95: Share of the other images that pass where 95 percent of the normal ones do.
        fpr95_interval: Its interval.
    """

    name: str
    auroc: float
    auroc_interval: Interval | None
    fpr95: float
    fpr95_interval: Interval | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            name: value.to_dict() if isinstance(value, Interval) else value
            for name, value in vars(self).items()
        } | {"definition": DEFINITIONS.get(self.name)}


def separation(
    name: str,
    normal: np.ndarray,
    other: np.ndarray,
    *,
    normal_units: np.ndarray | None = None,
    other_units: np.ndarray | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Separation:
    """Measure how well a score separates, with intervals by bootstrap of both kinds of images.

    Args:
        name: Name of the score.
        normal: Scores of the normal images, `(n,)`.
        other: Scores of the others, `(m,)`.
        normal_units: Lesion of each normal image, from 0; every image its own unless given.
        other_units: Likewise for the others.
        draws: Number of draws.
        seed: Seed of the draws.
    """
    positive = np.arange(len(normal) + len(other)) < len(normal)
    curve = Curve(np.concatenate([normal, other]), positive)
    auroc, fpr = _measured(curve(np.ones((1, len(positive)))))
    normal_units = np.arange(len(normal)) if normal_units is None else normal_units
    other_units = np.arange(len(other)) if other_units is None else other_units
    drawn = [
        _measured(curve(np.concatenate(weights, axis=1)))
        for weights in zip(
            draw_weights(normal_units, draws, seed), draw_weights(other_units, draws, seed + 1), strict=True
        )
    ]
    areas, rates = (np.concatenate(values) for values in zip(*drawn, strict=True))
    return Separation(
        name,
        float(auroc[0]),
        percentile_interval(areas, LEVEL),
        float(fpr[0]),
        percentile_interval(rates, LEVEL),
    )


def _measured(points: Points) -> tuple[np.ndarray, np.ndarray]:
    return points.area(), 1 - points.specificity_at(SENSITIVITY)
