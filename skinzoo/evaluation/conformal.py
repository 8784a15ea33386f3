"""Conformal prediction sets: classes that hold the true one in a stated share of cases.

Adaptive prediction sets (Romano et al. 2020) and their regularised form (Angelopoulos et al. 2021): classes
are taken from the most probable on, until the probability taken passes a limit that was fitted on validation.
The limit stands on the probability that is taken before a class, so that no set is empty and no chance
enters; coverage is at least the stated one on exchangeable cases, and more where the most probable class
alone is right more often than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skinzoo.errors import DataError, UsageError, one_of
from skinzoo.evaluation.fitting import check_classes, check_fit_part
from skinzoo.evaluation.predictions import Predictions

APS, RAPS = "aps", "raps"
METHODS: tuple[str, ...] = (APS, RAPS)
PENALTY = 0.01
FREE_CLASSES = 2


@dataclass(frozen=True)
class Conformal:
    """Fitted prediction sets.

    Args:
        method: `aps` or `raps`.
        classes: Class names in order.
        coverage: Share of cases whose set is to hold the true class.
        limit: Highest score that belongs to a set.
        penalty: Addition to the score of each class beyond the free ones; 0 for `aps`.
        free_classes: Number of classes without a penalty.
        cases: Validation cases that it was fitted on.
    """

    method: str
    classes: tuple[str, ...]
    coverage: float
    limit: float
    penalty: float
    free_classes: int
    cases: int

    def sets(self, predictions: Predictions) -> np.ndarray:
        """Return which classes each case's set holds, `(n, classes)`, bool.

        Raises:
            DataError: The classes are others than those it was fitted on.
        """
        check_classes(self.classes, predictions, "Prediction sets")
        return _scores(predictions.probabilities, self.penalty, self.free_classes) <= self.limit

    def measure(self, predictions: Predictions) -> dict[str, Any]:
        """Return coverage and size of the sets of another part, as JSON; a class without cases is None."""
        sets = self.sets(predictions)
        held = sets[np.arange(len(predictions)), predictions.true]
        sizes = sets.sum(axis=1)
        return {
            "cases": len(predictions),
            "coverage": float(held.mean()),
            "coverage_standard_error": float(np.sqrt(held.mean() * (1 - held.mean()) / len(held))),
            "coverage_per_class": {
                name: float(held[predictions.true == i].mean()) if (predictions.true == i).any() else None
                for i, name in enumerate(predictions.classes)
            },
            "mean_size": float(sizes.mean()),
            "sizes": {str(size): int((sizes == size).sum()) for size in range(1, len(self.classes) + 1)},
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "method": self.method,
            "classes": list(self.classes),
            "coverage": self.coverage,
            "limit": self.limit,
            "penalty": self.penalty,
            "free_classes": self.free_classes,
            "fitted_on": {"part": "validation", "cases": self.cases},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Conformal:
        """Read it from JSON."""
        return cls(
            method=document["method"],
            classes=tuple(document["classes"]),
            coverage=document["coverage"],
            limit=document["limit"],
            penalty=document["penalty"],
            free_classes=document["free_classes"],
            cases=document["fitted_on"]["cases"],
        )


def check_coverage(coverage: float) -> None:
    """Check that a coverage can be asked for.

    Raises:
        UsageError: It is not between 0 and 1.
    """
    if not 0 < coverage < 1:
        raise UsageError(f"`coverage` must lie between 0 and 1, both excluded. Received: {coverage:g}.")


def fit_conformal(validation: Predictions, coverage: float = 0.9, method: str = RAPS) -> Conformal:
    """Fit prediction sets on validation predictions.

    Args:
        validation: Predictions of the validation part, calibrated ones where a calibration is used.
        coverage: Share of cases whose set is to hold the true class.
        method: `aps` or `raps`.

    Raises:
        UsageError: The method is unknown, `coverage` is outside 0..1, or the cases are of another part than
            validation.
        DataError: There are too few cases for the coverage.
    """
    if method not in METHODS:
        raise one_of("conformal", method, METHODS)
    check_coverage(coverage)
    check_fit_part(validation, "Prediction sets")
    penalty, free = (PENALTY, FREE_CLASSES) if method == RAPS else (0.0, 0)
    scores = _scores(validation.probabilities, penalty, free)
    own = np.sort(scores[np.arange(len(validation)), validation.true])
    # The finite-sample quantile: one more case than there are stands for the next one.
    rank = int(np.ceil((len(own) + 1) * coverage - 1e-9))
    if rank > len(own):
        least = int(np.ceil(coverage / (1 - coverage) - 1e-9))
        raise DataError(
            f"A coverage of {coverage:g} must be fitted on at least {least:,} validation cases. Received: "
            f"{len(own):,}.",
            hint="Ask for a lower coverage.",
        )
    return Conformal(
        method, validation.classes, coverage, float(own[rank - 1]), penalty, free, len(validation)
    )


def _scores(probabilities: np.ndarray, penalty: float, free: int) -> np.ndarray:
    """Return the probability taken before each class, with the penalty of its rank, `(n, classes)`."""
    order = np.argsort(-probabilities, axis=1, kind="stable")
    ordered = np.take_along_axis(probabilities, order, axis=1)
    before = np.cumsum(ordered, axis=1) - ordered
    before[:, 0] = 0.0
    before += penalty * np.maximum(0, np.arange(1, probabilities.shape[1] + 1) - free)
    scores = np.empty_like(before)
    np.put_along_axis(scores, order, before, axis=1)
    return scores
