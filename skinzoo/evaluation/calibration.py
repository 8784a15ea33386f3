"""Calibration, reliability and abstention: fitted on validation, plain JSON, applied anywhere.

Temperature scaling divides the logits by one number, vector scaling multiplies and shifts each class's logit
(Guo et al. 2017, "On calibration of modern neural networks"). The logarithms of softmax outputs are the
logits up to a constant, which the softmax takes away again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, special

from skinzoo.errors import DataError, UsageError, one_of
from skinzoo.evaluation.definitions import BINS
from skinzoo.evaluation.fitting import check_classes, check_fit_part
from skinzoo.evaluation.metrics import bin_numbers, expected_calibration_error
from skinzoo.evaluation.predictions import Predictions

TEMPERATURE, VECTOR = "temperature", "vector"
METHODS: tuple[str, ...] = (TEMPERATURE, VECTOR)
_FLOOR = np.finfo(np.float64).tiny
_RIDGE = 1e-3


@dataclass(frozen=True)
class Calibration:
    """A fitted calibration: softmax(scale * log p + shift).

    Args:
        method: `temperature` or `vector`.
        classes: Class names in order.
        scale: Factor of each class's logit; 1 / temperature for all classes with `temperature`.
        shift: Addition to each class's logit.
        cases: Validation cases that it was fitted on.
        log_loss: Log loss of the validation part before and after.
        expected_calibration_error: The same for the expected calibration error.
    """

    method: str
    classes: tuple[str, ...]
    scale: tuple[float, ...]
    shift: tuple[float, ...]
    cases: int
    log_loss: tuple[float, float]
    expected_calibration_error: tuple[float, float]

    @property
    def temperature(self) -> float | None:
        """The temperature; None for vector scaling."""
        return 1 / self.scale[0] if self.method == TEMPERATURE else None

    def apply(self, predictions: Predictions) -> Predictions:
        """Return calibrated predictions.

        Raises:
            DataError: The classes are others than those it was fitted on.
        """
        check_classes(self.classes, predictions, "A calibration")
        return predictions.with_probabilities(self.rescale(predictions.probabilities))

    def rescale(self, probabilities: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities `(cases, classes)` of an array of them, classes in its order."""
        return _softmax(_logits(probabilities) * np.array(self.scale) + np.array(self.shift))

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "method": self.method,
            "classes": list(self.classes),
            "temperature": self.temperature,
            "scale": list(self.scale),
            "shift": list(self.shift),
            "fitted_on": {"part": "validation", "cases": self.cases},
            "log_loss": dict(zip(("before", "after"), self.log_loss, strict=True)),
            "expected_calibration_error": dict(
                zip(("before", "after"), self.expected_calibration_error, strict=True)
            ),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Calibration:
        """Read it from JSON."""
        return cls(
            method=document["method"],
            classes=tuple(document["classes"]),
            scale=tuple(document["scale"]),
            shift=tuple(document["shift"]),
            cases=document["fitted_on"]["cases"],
            log_loss=(document["log_loss"]["before"], document["log_loss"]["after"]),
            expected_calibration_error=(
                document["expected_calibration_error"]["before"],
                document["expected_calibration_error"]["after"],
            ),
        )


@dataclass(frozen=True)
class Reliability:
    """The data of a reliability diagram of the top label.

    Args:
        edges: Edges of the bins, `(bins + 1,)`.
        cases: Cases of each bin.
        confidence: Mean confidence of each bin; None for an empty one.
        accuracy: Accuracy of each bin; None for an empty one.
        expected_calibration_error: The cases' mean distance between the two.
    """

    edges: tuple[float, ...]
    cases: tuple[int, ...]
    confidence: tuple[float | None, ...]
    accuracy: tuple[float | None, ...]
    expected_calibration_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}


@dataclass(frozen=True)
class Abstention:
    """A threshold on the top probability below which no class is named.

    Args:
        threshold: Lowest top probability that is answered.
        target: Accuracy that the answered cases were to reach.
        accuracy: Accuracy of the answered validation cases.
        answered: Share of the validation cases that are answered.
        cases: Validation cases that it was fitted on.
    """

    threshold: float
    target: float
    accuracy: float
    answered: float
    cases: int

    def measure(self, predictions: Predictions) -> dict[str, Any]:
        """Return share and accuracy of the answered cases of another part, as JSON."""
        kept = predictions.probabilities.max(axis=1) >= self.threshold
        right = (predictions.predicted == predictions.true)[kept]
        return {
            "cases": len(predictions),
            "answered": float(kept.mean()),
            "accuracy": float(right.mean()) if len(right) else None,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "threshold": self.threshold,
            "target_accuracy": self.target,
            "fitted_on": {"part": "validation", "cases": self.cases},
            "validation": {"accuracy": self.accuracy, "answered": self.answered},
        }


def check_method(method: str) -> None:
    """Check that a method of calibration exists.

    Raises:
        UsageError: It does not.
    """
    if method not in METHODS:
        raise one_of("calibrate", method, METHODS)


def fit_calibration(validation: Predictions, method: str = TEMPERATURE) -> Calibration:
    """Fit a calibration on validation predictions by their log loss.

    Vector scaling is drawn to no change by a small penalty (0.001 times the squared distance), because a
    class with few cases would otherwise go to infinity.

    Args:
        validation: Predictions of the validation part.
        method: `temperature` or `vector`.

    Raises:
        UsageError: The method is unknown, or the cases are of another part than validation.
        DataError: All cases are of one class.
    """
    check_method(method)
    check_fit_part(validation, "A calibration")
    if len(validation.present) < 2:
        raise DataError(
            f"A calibration must be fitted on at least two classes. Received: {len(validation)} cases of "
            f"'{validation.present[0]}'."
        )
    logits, count = _logits(validation.probabilities), len(validation.classes)
    hot = np.eye(count)[validation.true]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale, shift = parameters[:count], parameters[count:]
        scaled = logits * scale + shift
        error = (_softmax(scaled) - hot) / len(hot)
        value = (special.logsumexp(scaled, axis=1) - (scaled * hot).sum(axis=1)).mean()
        away = parameters - np.concatenate([np.ones(count), np.zeros(count)])
        gradient = np.concatenate([(error * logits).sum(axis=0), error.sum(axis=0)])
        return float(value + _RIDGE * (away**2).sum()), gradient + 2 * _RIDGE * away

    def loss_of_temperature(log_temperature: float) -> float:
        scaled = logits * np.exp(-log_temperature)
        return float((special.logsumexp(scaled, axis=1) - (scaled * hot).sum(axis=1)).mean())

    if method == TEMPERATURE:
        best = optimize.minimize_scalar(
            loss_of_temperature, bounds=(np.log(0.05), np.log(20)), method="bounded"
        )
        scale, shift = np.full(count, np.exp(-best.x)), np.zeros(count)
    else:
        start = np.concatenate([np.ones(count), np.zeros(count)])
        found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x
        scale, shift = found[:count], found[count:]
    after = _softmax(logits * scale + shift)
    return Calibration(
        method=method,
        classes=validation.classes,
        scale=tuple(map(float, scale)),
        shift=tuple(map(float, shift)),
        cases=len(validation),
        log_loss=(_log_loss(validation.probabilities, hot), _log_loss(after, hot)),
        expected_calibration_error=(
            expected_calibration_error(validation.true, validation.probabilities),
            expected_calibration_error(validation.true, after),
        ),
    )


def reliability(predictions: Predictions, bins: int = BINS) -> Reliability:
    """Return the data of a reliability diagram of the top label, with bins of equal width."""
    confidence = predictions.probabilities.max(axis=1)
    right = predictions.predicted == predictions.true
    number = bin_numbers(confidence, bins)
    cases = np.bincount(number, minlength=bins)
    sums = (np.bincount(number, weights=values, minlength=bins) for values in (confidence, right))
    means = [
        tuple(float(s / c) if c else None for s, c in zip(values, cases, strict=True)) for values in sums
    ]
    return Reliability(
        edges=tuple(np.linspace(0, 1, bins + 1).tolist()),
        cases=tuple(cases.tolist()),
        confidence=means[0],
        accuracy=means[1],
        expected_calibration_error=expected_calibration_error(
            predictions.true, predictions.probabilities, bins
        ),
    )


def fit_abstention(validation: Predictions, accuracy: float = 0.95) -> Abstention:
    """Find the lowest threshold whose answered validation cases reach an accuracy.

    Args:
        validation: Predictions of the validation part, calibrated ones where a calibration is used.
        accuracy: Accuracy to reach.

    Raises:
        UsageError: `accuracy` is outside 0..1, or the cases are of another part than validation.
        DataError: No threshold reaches it.
    """
    if not 0 < accuracy <= 1:
        raise UsageError(f"`accuracy` must lie within 0..1. Received: {accuracy:g}.")
    check_fit_part(validation, "An abstention threshold")
    confidence = validation.probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    right = (validation.predicted == validation.true)[order]
    kept = np.arange(1, len(order) + 1)
    reached = np.cumsum(right) / kept
    ordered = confidence[order]
    # A threshold keeps all cases of one confidence or none of them.
    last = np.append(ordered[1:] != ordered[:-1], True)
    possible = np.flatnonzero(last & (reached >= accuracy))
    if not len(possible):
        raise DataError(
            f"Some threshold must reach an accuracy of {accuracy:g} on validation. Received: at most "
            f"{reached[last].max():.3f}.",
            hint="Ask for a lower accuracy.",
        )
    chosen = possible[-1]
    return Abstention(
        threshold=float(ordered[chosen]),
        target=accuracy,
        accuracy=float(reached[chosen]),
        answered=float(kept[chosen] / len(order)),
        cases=len(order),
    )


def _logits(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(probabilities, _FLOOR))


def _softmax(logits: np.ndarray) -> np.ndarray:
    return special.softmax(logits, axis=1)


def _log_loss(probabilities: np.ndarray, hot: np.ndarray) -> float:
    return float(-(_logits(probabilities) * hot).sum(axis=1).mean())
