"""The metrics of a part, computed by scikit-learn where it has them.

Definitions stand in `skinzoo.evaluation.definitions`. A metric that the part cannot answer is None, with the
reason in `Scores.undefined`: a class without cases is absent, never 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import metrics as sk

from skinzoo.evaluation.definitions import BINS, OPERATING_POINTS, OVERALL, PER_CLASS, TOPS, of_class
from skinzoo.evaluation.diagnoses import malignant_classes, melanoma_class
from skinzoo.evaluation.predictions import Predictions
from skinzoo.registry import Registry, registry
from skinzoo.specs import MetricSpec


@dataclass(frozen=True)
class Scores:
    """The metrics of a part.

    Args:
        classes: Class names in order.
        support: Cases of each class.
        confusion: Cases by true class (row) and predicted class (column).
        overall: Metric to value; None where undefined.
        per_class: Class to metric to value.
        undefined: Why a metric is None, by its flat name.
        malignant: Classes counted as malignant.
    """

    classes: tuple[str, ...]
    support: Mapping[str, int]
    confusion: np.ndarray
    overall: Mapping[str, float | None]
    per_class: Mapping[str, Mapping[str, float | None]]
    undefined: Mapping[str, str]
    malignant: tuple[str, ...] = ()

    @property
    def cases(self) -> int:
        """Number of cases."""
        return sum(self.support.values())

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes without cases."""
        return tuple(name for name, number in self.support.items() if not number)

    def flat(self) -> dict[str, float | None]:
        """Return all metrics in one mapping, those of classes as `recall[mel]`."""
        found = dict(self.overall)
        for name, values in self.per_class.items():
            found |= {of_class(metric, name): value for metric, value in values.items()}
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON."""
        return {
            "classes": list(self.classes),
            "cases": self.cases,
            "support": dict(self.support),
            "absent_classes": list(self.absent),
            "malignant_classes": list(self.malignant),
            "confusion": self.confusion.tolist(),
            "overall": dict(self.overall),
            "per_class": {name: dict(values) for name, values in self.per_class.items()},
            "undefined": dict(self.undefined),
        }


def compute_scores(
    predictions: Predictions,
    *,
    malignant: Sequence[str] | None = None,
    plugins: Registry | None = None,
) -> Scores:
    """Compute every metric of a part.

    Args:
        predictions: The part.
        malignant: Malignant classes; by their usual names unless given.
        plugins: Where plugins' metrics come from; the installed ones unless given.

    Returns:
        The metrics; plugins' metrics stand among the overall ones.
    """
    classes = predictions.classes
    true, probabilities = predictions.true, predictions.probabilities
    indices = np.arange(len(classes))
    confusion = sk.confusion_matrix(true, predictions.predicted, labels=indices)
    malignant = malignant_classes(classes) if malignant is None else tuple(malignant)
    undefined: dict[str, str] = {}
    per_class = {
        name: _class_scores(i, name, confusion, true, probabilities, undefined)
        for i, name in enumerate(classes)
    }
    overall = _overall(predictions, confusion, per_class, undefined)
    overall |= _melanoma(predictions, undefined)
    overall["malignant_roc_auc"] = _malignant(predictions, malignant, undefined)
    overall |= _plugin_metrics(predictions, overall, undefined, plugins or registry())
    return Scores(
        classes=classes,
        support={name: int(confusion[i].sum()) for i, name in enumerate(classes)},
        confusion=confusion,
        overall=overall,
        per_class=per_class,
        undefined=undefined,
        malignant=malignant,
    )


def expected_calibration_error(true: np.ndarray, probabilities: np.ndarray, bins: int = BINS) -> float:
    """Return the top-label expected calibration error with bins of equal width.

    Args:
        true: Indices of the true classes, `(n,)`.
        probabilities: `(n, classes)`.
        bins: Number of bins; bin k holds confidences in `(k / bins, (k + 1) / bins]`.
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == true
    number = bin_numbers(confidence, bins)
    gaps = np.abs(
        np.bincount(number, weights=right, minlength=bins)
        - np.bincount(number, weights=confidence, minlength=bins)
    )
    return float(gaps.sum() / len(true))


def bin_numbers(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the bin of each confidence, from 0; upper edges belong to their bin."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def ranks(true: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the rank of the true class, 0 for the most probable; ties go by class order."""
    own = probabilities[np.arange(len(true)), true][:, None]
    before = np.arange(probabilities.shape[1])[None, :] < true[:, None]
    return ((probabilities > own) | ((probabilities == own) & before)).sum(axis=1)


def _class_scores(
    i: int,
    name: str,
    confusion: np.ndarray,
    true: np.ndarray,
    probabilities: np.ndarray,
    undefined: dict[str, str],
) -> dict[str, float | None]:
    positives = int(confusion[i].sum())
    if not positives:
        undefined.update({of_class(metric.name, name): f"No case of class '{name}'." for metric in PER_CLASS})
        return {metric.name: None for metric in PER_CLASS}
    total = int(confusion.sum())
    negatives = total - positives
    predicted = int(confusion[:, i].sum())
    hits = int(confusion[i, i])
    found: dict[str, float | None] = {
        "precision": hits / predicted if predicted else None,
        "recall": hits / positives,
        "specificity": (negatives - (predicted - hits)) / negatives if negatives else None,
        "f1": 2 * hits / (positives + predicted),
        "one_vs_rest_accuracy": (total - (positives - hits) - (predicted - hits)) / total,
        "roc_auc": None,
        "average_precision": None,
        "paper_balanced_accuracy": None,
    }
    if not predicted:
        undefined[of_class("precision", name)] = f"Class '{name}' is never predicted."
    if negatives:
        found["roc_auc"] = float(sk.roc_auc_score(true == i, probabilities[:, i]))
        found["average_precision"] = float(sk.average_precision_score(true == i, probabilities[:, i]))
        found["paper_balanced_accuracy"] = (hits / positives + found["specificity"]) / 2  # type: ignore[operator]
    else:
        for metric in ("specificity", "roc_auc", "average_precision", "paper_balanced_accuracy"):
            undefined[of_class(metric, name)] = f"Every case is of class '{name}'."
    return {metric.name: found[metric.name] for metric in PER_CLASS}


def _overall(
    predictions: Predictions,
    confusion: np.ndarray,
    per_class: Mapping[str, Mapping[str, float | None]],
    undefined: dict[str, str],
) -> dict[str, float | None]:
    true, probabilities, predicted = predictions.true, predictions.probabilities, predictions.predicted
    indices = np.arange(len(predictions.classes))
    present = np.unique(true)
    single = len(present) < 2
    found: dict[str, float | None] = {"accuracy": float(sk.accuracy_score(true, predicted))}
    rank = ranks(true, probabilities)
    for k in TOPS:
        name = f"top_{k}_accuracy"
        found[name] = float((rank < k).mean()) if k < len(indices) else None
        if found[name] is None:
            undefined[name] = f"There are only {len(indices)} classes."
    for average in ("macro", "weighted"):
        values = sk.precision_recall_fscore_support(
            true, predicted, labels=present, average=average, zero_division=0
        )
        for name, value in zip(("precision", "recall", "f1"), values, strict=False):
            found[f"{average}_{name}"] = float(value)
    found["balanced_accuracy"] = found["macro_recall"]
    shares = confusion.sum(axis=1) / len(true)
    for name, metric in (
        ("macro_specificity", "specificity"),
        ("roc_auc_macro", "roc_auc"),
        ("average_precision_macro", "average_precision"),
        ("one_vs_rest_accuracy", "one_vs_rest_accuracy"),
        ("paper_balanced_accuracy", "paper_balanced_accuracy"),
    ):
        found[name] = _mean([per_class[predictions.classes[i]][metric] for i in present])
    aucs = [per_class[predictions.classes[i]]["roc_auc"] for i in present]
    found["roc_auc_weighted"] = (
        None if single else float(np.dot(shares[present], np.array(aucs, dtype=np.float64)))
    )
    hot = true[:, None] == indices
    found["roc_auc_micro"] = float(sk.roc_auc_score(hot.ravel(), probabilities.ravel()))
    found["matthews"] = None
    found["cohen_kappa"] = None
    if single:
        for name in ("macro_specificity", "roc_auc_macro", "roc_auc_weighted", "average_precision_macro"):
            undefined[name] = "All cases are of one class."
        for name in ("paper_balanced_accuracy", "matthews", "cohen_kappa"):
            undefined[name] = "All cases are of one class."
    elif len(np.unique(predicted)) < 2:
        undefined["matthews"] = "One class is predicted for every case."
        found["cohen_kappa"] = float(sk.cohen_kappa_score(true, predicted, labels=indices))
    else:
        found["matthews"] = float(sk.matthews_corrcoef(true, predicted))
        found["cohen_kappa"] = float(sk.cohen_kappa_score(true, predicted, labels=indices))
    found["log_loss"] = float(sk.log_loss(true, probabilities, labels=indices))
    found["brier"] = float(((probabilities - hot) ** 2).sum(axis=1).mean())
    found["expected_calibration_error"] = expected_calibration_error(true, probabilities)
    return {metric.name: found[metric.name] for metric in OVERALL if metric.name in found}


def _melanoma(predictions: Predictions, undefined: dict[str, str]) -> dict[str, float | None]:
    name = melanoma_class(predictions.classes)
    positive = (
        predictions.true == predictions.classes.index(name)
        if name
        else np.zeros(len(predictions), dtype=bool)
    )
    found: dict[str, float | None] = {}
    if positive.any() and not positive.all():
        scores = predictions.probabilities[:, predictions.classes.index(str(name))]
        false_rate, true_rate, _ = sk.roc_curve(positive, scores, drop_intermediate=False)
        specificity = 1 - false_rate
    for level in OPERATING_POINTS:
        keys = (
            f"melanoma_sensitivity_at_specificity_{level:.2f}",
            f"melanoma_specificity_at_sensitivity_{level:.2f}",
        )
        if positive.any() and not positive.all():
            # Rates are quotients of counts: 0.9 may arrive as 0.8999999999999999.
            found[keys[0]] = float(true_rate[specificity >= level - 1e-12].max())
            found[keys[1]] = float(specificity[true_rate >= level - 1e-12].max())
        else:
            found |= dict.fromkeys(keys)
            reason = (
                "No class is melanoma." if name is None else "Melanoma must be a part of the cases, not all."
            )
            undefined.update(dict.fromkeys(keys, reason))
    return {metric.name: found[metric.name] for metric in OVERALL if metric.name in found}


def _malignant(predictions: Predictions, malignant: Sequence[str], undefined: dict[str, str]) -> float | None:
    columns = [predictions.classes.index(name) for name in malignant]
    positive = np.isin(predictions.true, columns)
    if not positive.any() or positive.all():
        undefined["malignant_roc_auc"] = (
            "The cases must hold malignant and benign ones." if columns else "No class is known as malignant."
        )
        return None
    return float(sk.roc_auc_score(positive, predictions.probabilities[:, columns].sum(axis=1)))


def _plugin_metrics(
    predictions: Predictions,
    taken: Mapping[str, float | None],
    undefined: dict[str, str],
    plugins: Registry,
) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for part in plugins.parts(MetricSpec.kind):
        assert isinstance(part.spec, MetricSpec)
        name = part.name if part.name not in taken else f"{part.provider.distribution}:{part.name}"
        try:
            value = float(part.spec.compute(predictions.true.copy(), predictions.probabilities.copy()))
            reason = "" if np.isfinite(value) else f"it returned {value}"
        except Exception as error:  # whatever a plugin raises must not cost the other metrics
            value, reason = float("nan"), f"{type(error).__name__}: {' '.join(str(error).split())}"
        found[name] = None if reason else value
        if reason:
            undefined[name] = f"The metric of {part.provider} failed: {reason}."
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
