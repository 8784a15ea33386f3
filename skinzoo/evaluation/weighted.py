"""The metrics of many weightings of the same cases at once, for the bootstrap.

A bootstrap draw counts each case some number of times. `WeightedScores` takes these counts as rows of a
matrix and computes every metric for all rows together; with a row of ones it gives what
`skinzoo.evaluation.metrics` gives.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from skinzoo.evaluation.definitions import BINS, OPERATING_POINTS, TOPS, of_class
from skinzoo.evaluation.diagnoses import malignant_classes, melanoma_class
from skinzoo.evaluation.metrics import bin_numbers, ranks
from skinzoo.evaluation.predictions import Predictions

Array = np.ndarray


class WeightedScores:
    """Metrics of a part under weights.

    Args:
        predictions: The part.
        malignant: Malignant classes; by their usual names unless given.
        curves: Whether to compute what needs sorted scores: areas and operating points.
    """

    def __init__(
        self, predictions: Predictions, *, malignant: Sequence[str] | None = None, curves: bool = True
    ) -> None:
        true, probabilities = predictions.true, predictions.probabilities
        self.classes = predictions.classes
        count = len(self.classes)
        hot = true[:, None] == np.arange(count)
        self._cells = _Sums(true * count + predictions.predicted, count * count)
        confidence = probabilities.max(axis=1)
        self._bins = _Sums(bin_numbers(confidence), BINS)
        self._gap = (predictions.predicted == true) - confidence
        rank = ranks(true, probabilities)
        own = np.clip(probabilities[np.arange(len(true)), true], np.finfo(np.float64).eps, 1.0)
        values = {f"top_{k}_accuracy": (rank < k).astype(np.float64) for k in TOPS if k < count}
        values["log_loss"] = -np.log(own)
        values["brier"] = ((probabilities - hot) ** 2).sum(axis=1)
        self._value_names = tuple(values)
        self._values = np.stack(list(values.values()))
        self._curves: dict[str, Curve] = {}
        self._micro: Curve | None = None
        self._malignant: Curve | None = None
        self._melanoma = melanoma_class(self.classes)
        if curves:
            self._curves = {
                name: Curve(probabilities[:, i], hot[:, i]) for i, name in enumerate(self.classes)
            }
            self._micro = Curve(probabilities.ravel(), hot.ravel(), each=count)
            malignant = malignant_classes(self.classes) if malignant is None else tuple(malignant)
            if malignant:
                columns = [self.classes.index(name) for name in malignant]
                self._malignant = Curve(probabilities[:, columns].sum(axis=1), np.isin(true, columns))

    def __call__(self, weights: Array) -> dict[str, Array]:
        """Return metric to values.

        Args:
            weights: How often each case counts, `(draws, n)`, float64.

        Returns:
            Flat metric name to `(draws,)`; NaN where a draw cannot answer it.
        """
        count = len(self.classes)
        confusion = self._cells(weights).T.reshape(count, count, -1)
        found, present, shares = _of_confusion(confusion, self.classes)
        total = weights.sum(axis=1)
        for name, values in zip(self._value_names, (weights @ self._values.T).T, strict=True):
            found[name] = values / total
        gaps = self._bins(weights * self._gap)
        found["expected_calibration_error"] = np.abs(gaps).sum(axis=1) / total
        if self._curves:
            self._add_curves(found, weights, present, shares)
        return found

    def _add_curves(self, found: dict[str, Array], weights: Array, present: Array, shares: Array) -> None:
        areas, precisions = [], []
        for name, curve in self._curves.items():
            points = curve(weights)
            areas.append(points.area())
            precisions.append(points.average_precision())
            found[of_class("roc_auc", name)] = areas[-1]
            found[of_class("average_precision", name)] = precisions[-1]
            if name == self._melanoma:
                for level in OPERATING_POINTS:
                    found[f"melanoma_sensitivity_at_specificity_{level:.2f}"] = points.sensitivity_at(level)
                    found[f"melanoma_specificity_at_sensitivity_{level:.2f}"] = points.specificity_at(level)
        found["roc_auc_macro"] = _mean(np.stack(areas))
        found["average_precision_macro"] = _mean(np.stack(precisions))
        weighted = np.where(present, shares * np.nan_to_num(np.stack(areas)), 0).sum(axis=0)
        found["roc_auc_weighted"] = np.where(present.sum(axis=0) > 1, weighted, np.nan)
        if self._micro is not None:
            found["roc_auc_micro"] = self._micro(weights).area()
        if self._malignant is not None:
            found["malignant_roc_auc"] = self._malignant(weights).area()


@dataclass(frozen=True)
class Points:
    """Weights at each positive's score, `(draws, positives)`, highest score first; totals are `(draws,)`.

    Only positives raise the sensitivity, so their scores are the only thresholds that matter.
    """

    weight: Array
    true_positives: Array
    false_positives: Array
    false_positives_above: Array
    positives: Array
    negatives: Array

    def area(self) -> Array:
        """Area under the ROC curve; a tie counts half."""
        outranking = 0.5 * (self.false_positives + self.false_positives_above)
        lost = np.einsum("dp,dp->d", self.weight, outranking)
        return 1 - _divide(lost, self.positives * self.negatives)

    def average_precision(self) -> Array:
        """Sum over thresholds of precision times the step in recall."""
        predicted = self.true_positives + self.false_positives
        precision = np.divide(
            self.true_positives, predicted, out=np.zeros_like(predicted), where=predicted > 0
        )
        found = _divide(np.einsum("dp,dp->d", self.weight, precision), self.positives)
        return np.where(self.negatives > 0, found, np.nan)

    def sensitivity_at(self, level: float) -> Array:
        """Highest sensitivity with a specificity of at least `level`."""
        allowed = self.false_positives <= (1 - level + 1e-12) * self.negatives[:, None]
        best = np.where(allowed, self.true_positives, 0).max(axis=1, initial=0)
        return np.where(self.negatives > 0, _divide(best, self.positives), np.nan)

    def specificity_at(self, level: float) -> Array:
        """Highest specificity with a sensitivity of at least `level`."""
        reached = self.true_positives >= (level - 1e-12) * self.positives[:, None]
        least = np.where(reached, self.false_positives, np.inf).min(axis=1, initial=np.inf)
        return np.where(self.positives > 0, 1 - _divide(least, self.negatives), np.nan)


class Curve:
    """Scores of a two-class question, sorted once.

    Args:
        scores: `(n * each,)`.
        positive: `(n * each,)`, bool.
        each: Scores that share the weight of one case.
    """

    def __init__(self, scores: Array, positive: Array, each: int = 1) -> None:
        order = np.argsort(-scores, kind="stable")
        ordered, hits = scores[order], positive[order]
        begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        group = np.cumsum(begins) - 1
        starts = np.flatnonzero(begins)
        ends = np.append(starts[1:], len(ordered)) - 1
        where = np.flatnonzero(hits)
        self._cases = order // each
        self._positive_cases = self._cases[where]
        self._ends = ends[group[where]]
        self._above = starts[group[where]] - 1
        before = np.cumsum(hits)
        self._positives_to_end = before[self._ends] - 1
        self._positives_above = before[self._above] * (self._above >= 0) - 1

    def __call__(self, weights: Array) -> Points:
        """Return the points of some draws, `(draws, n)`."""
        running = np.take(weights, self._cases, axis=1).cumsum(axis=1)
        weight = np.take(weights, self._positive_cases, axis=1)
        positives = weight.cumsum(axis=1)
        total = positives[:, -1] if weight.shape[1] else np.zeros(len(weights))
        true_positives = positives[:, self._positives_to_end]
        above = running[:, self._above] * (self._above >= 0)
        true_above = positives[:, self._positives_above] * (self._positives_above >= 0)
        return Points(
            weight=weight,
            true_positives=true_positives,
            false_positives=running[:, self._ends] - true_positives,
            false_positives_above=above - true_above,
            positives=total,
            negatives=running[:, -1] - total,
        )


class _Sums:
    """Sums of columns by group.

    Args:
        groups: Group of each column, `(n,)`.
        number: Number of groups.
    """

    def __init__(self, groups: Array, number: int) -> None:
        self._order = np.argsort(groups, kind="stable")
        # Sorted by group, the sums over the groups are sums of neighbours.
        self._present, self._starts = np.unique(groups[self._order], return_index=True)
        self._number = number

    def __call__(self, values: Array) -> Array:
        sums = np.zeros((len(values), self._number))
        sums[:, self._present] = np.add.reduceat(np.take(values, self._order, axis=1), self._starts, axis=1)
        return sums


def _of_confusion(confusion: Array, classes: Collection[str]) -> tuple[dict[str, Array], Array, Array]:
    """Return metrics, whether each class is present, and the share of each class, per draw.

    Args:
        confusion: `(classes, classes, draws)`, rows are true classes.
        classes: Class names.
    """
    total = confusion.sum(axis=(0, 1))
    hits = np.einsum("iid->id", confusion)
    positives, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    negatives = total - positives
    present = positives > 0
    precision = np.where(present, _divide(hits, predicted), np.nan)
    values = {
        "precision": precision,
        "recall": _divide(hits, positives),
        "specificity": np.where(present, _divide(negatives - predicted + hits, negatives), np.nan),
        "f1": np.where(present, _divide(2 * hits, positives + predicted), np.nan),
        "one_vs_rest_accuracy": np.where(present, (total - positives - predicted + 2 * hits) / total, np.nan),
    }
    values["paper_balanced_accuracy"] = (values["recall"] + values["specificity"]) / 2
    found = {
        of_class(metric, name): rows[i] for metric, rows in values.items() for i, name in enumerate(classes)
    }
    shares = positives / total
    counted = {**values, "precision": np.where(present, np.nan_to_num(precision), np.nan)}
    for metric in ("precision", "recall", "f1"):
        found[f"macro_{metric}"] = _mean(counted[metric])
        found[f"weighted_{metric}"] = np.where(present, shares * counted[metric], 0).sum(axis=0)
    found["macro_specificity"] = _mean(values["specificity"])
    found["one_vs_rest_accuracy"] = _mean(values["one_vs_rest_accuracy"])
    found["paper_balanced_accuracy"] = _mean(values["paper_balanced_accuracy"])
    found["balanced_accuracy"] = found["macro_recall"]
    found["accuracy"] = hits.sum(axis=0) / total
    chance = (positives * predicted).sum(axis=0)
    several = present.sum(axis=0) > 1
    kappa = _divide(hits.sum(axis=0) * total - chance, total**2 - chance)
    found["cohen_kappa"] = np.where(several, kappa, np.nan)
    spread = np.sqrt((total**2 - (positives**2).sum(axis=0)) * (total**2 - (predicted**2).sum(axis=0)))
    found["matthews"] = _divide(hits.sum(axis=0) * total - chance, spread)
    return found, present, shares


def _divide(numerator: Array, denominator: Array) -> Array:
    out = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator > 0)


def _mean(values: Array) -> Array:
    known = ~np.isnan(values)
    return _divide(np.where(known, values, 0).sum(axis=0), known.sum(axis=0).astype(np.float64))
