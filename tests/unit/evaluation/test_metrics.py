import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from evaluation_cases import CLASSES, PUBLISHED, of_confusion, simulated

from skinzoo.evaluation.definitions import OVERALL, PER_CLASS
from skinzoo.evaluation.metrics import compute_scores
from skinzoo.specs import MetricSpec


def test_a_published_confusion_matrix_gives_the_published_numbers():
    scores = compute_scores(of_confusion(PUBLISHED))
    assert (scores.confusion == PUBLISHED).all()
    assert scores.cases == 996
    expected = {
        "accuracy": 0.87651,
        "macro_precision": 0.8079,
        "macro_recall": 0.7765,
        "macro_f1": 0.7905,
        "weighted_precision": 0.8733,
        "macro_specificity": 0.9666,
        "paper_balanced_accuracy": 0.8716,
        "one_vs_rest_accuracy": 0.9647,
    }
    for name, value in expected.items():
        assert abs(scores.overall[name] - value) < (5.1e-6 if name == "accuracy" else 5.1e-5), name


def test_every_defined_metric_is_computed():
    scores = compute_scores(simulated())
    assert [d.name for d in OVERALL] == [name for name in scores.overall if name in {d.name for d in OVERALL}]
    assert all(list(values) == [d.name for d in PER_CLASS] for values in scores.per_class.values())
    assert not scores.undefined
    assert all(value is not None and math.isfinite(value) for value in scores.flat().values())


def by_hand(predictions):
    """Every metric in loops over cases and pairs, from the definitions alone."""
    true, prob, n = predictions.true.tolist(), predictions.probabilities.tolist(), len(predictions)
    classes = predictions.classes
    pred = [max(range(len(classes)), key=lambda j: (row[j], -j)) for row in prob]
    pairs = list(zip(true, pred, strict=True))
    found, columns = {}, {d.name: [] for d in PER_CLASS}
    for c, name in enumerate(classes):
        tp = sum(t == c and p == c for t, p in pairs)
        fp = sum(t != c and p == c for t, p in pairs)
        fn = sum(t == c and p != c for t, p in pairs)
        tn = n - tp - fp - fn
        scores = [row[c] for row in prob]
        labels = [t == c for t in true]
        values = {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "one_vs_rest_accuracy": (tp + tn) / n,
            "paper_balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
            "roc_auc": pair_auc(scores, labels),
            "average_precision": average_precision(scores, labels),
        }
        for metric, value in values.items():
            found[f"{metric}[{name}]"] = value
            columns[metric].append(value)
    shares = [true.count(c) / n for c in range(len(classes))]
    mean = {metric: sum(values) / len(values) for metric, values in columns.items()}
    weighted = {m: sum(s * v for s, v in zip(shares, values, strict=True)) for m, values in columns.items()}
    for metric in ("precision", "recall", "f1"):
        found[f"macro_{metric}"], found[f"weighted_{metric}"] = mean[metric], weighted[metric]
    found["balanced_accuracy"] = mean["recall"]
    found["macro_specificity"] = mean["specificity"]
    found["one_vs_rest_accuracy"] = mean["one_vs_rest_accuracy"]
    found["paper_balanced_accuracy"] = mean["paper_balanced_accuracy"]
    found["roc_auc_macro"], found["roc_auc_weighted"] = mean["roc_auc"], weighted["roc_auc"]
    found["average_precision_macro"] = mean["average_precision"]
    found["roc_auc_micro"] = pair_auc(
        [p for row in prob for p in row], [t == c for t in true for c in range(len(classes))]
    )
    found["accuracy"] = sum(t == p for t, p in pairs) / n
    for k in (1, 2, 3):
        best = [sorted(range(len(classes)), key=lambda j: -row[j])[:k] for row in prob]
        found[f"top_{k}_accuracy"] = sum(t in top for t, top in zip(true, best, strict=True)) / n
    found["log_loss"] = -sum(math.log(row[t]) for t, row in zip(true, prob, strict=True)) / n
    found["brier"] = (
        sum((p - (t == c)) ** 2 for t, row in zip(true, prob, strict=True) for c, p in enumerate(row)) / n
    )
    error = 0.0
    for k in range(15):
        held = [i for i in range(n) if k / 15 < max(prob[i]) <= (k + 1) / 15]
        error += abs(sum(true[i] == pred[i] for i in held) - sum(max(prob[i]) for i in held)) / n
    found["expected_calibration_error"] = error
    # Covariances of the one-hot matrices, as the multi-class coefficient is defined.
    cov = {
        (a, b): sum(
            sum(x == c for x in a_) / -n * sum(y == c for y in b_) + sum(x == y == c for x, y in both)
            for c in range(len(classes))
        )
        for (a, a_), (b, b_) in itertools.product((("t", true), ("p", pred)), repeat=2)
        for both in [list(zip(a_, b_, strict=True))]
    }
    found["matthews"] = cov["t", "p"] / math.sqrt(cov["t", "t"] * cov["p", "p"])
    chance = sum(shares[c] * pred.count(c) / n for c in range(len(classes)))
    found["cohen_kappa"] = (found["accuracy"] - chance) / (1 - chance)
    mel = classes.index("mel")
    scores = [row[mel] for row in prob]
    points = []
    for threshold in [*scores, math.inf]:
        called = [s >= threshold for s in scores]
        tpr = sum(c for c, t in zip(called, true, strict=True) if t == mel) / true.count(mel)
        tnr = sum(not c for c, t in zip(called, true, strict=True) if t != mel) / (n - true.count(mel))
        points.append((tpr, tnr))
    for level in (0.90, 0.95):
        found[f"melanoma_sensitivity_at_specificity_{level:.2f}"] = max(a for a, b in points if b >= level)
        found[f"melanoma_specificity_at_sensitivity_{level:.2f}"] = max(b for a, b in points if a >= level)
    bad = [classes.index(name) for name in ("akiec", "bcc", "mel")]
    found["malignant_roc_auc"] = pair_auc(
        [sum(row[c] for c in bad) for row in prob], [t in bad for t in true]
    )
    return found


def pair_auc(scores, labels):
    ours = np.array([s for s, positive in zip(scores, labels, strict=True) if positive])[:, None]
    theirs = np.array([s for s, positive in zip(scores, labels, strict=True) if not positive])
    return float(((ours > theirs) + 0.5 * (ours == theirs)).mean())


def average_precision(scores, labels):
    total, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        called = [positive for s, positive in zip(scores, labels, strict=True) if s >= threshold]
        step = sum(called) / sum(labels)
        total += (step - recall) * sum(called) / len(called)
        recall = step
    return total


@pytest.mark.parametrize("decimals", [None, 0])
def test_every_metric_agrees_with_its_definition(decimals):
    predictions = simulated(240, seed=3, decimals=decimals)
    expected = by_hand(predictions)
    found = {name: value for name, value in compute_scores(predictions).flat().items() if name in expected}
    assert found.keys() == expected.keys()
    assert {d.name for d in OVERALL} <= found.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-12), name


def test_an_absent_class_is_absent_and_costs_the_means_nothing():
    matrix = PUBLISHED.copy()
    matrix[3] = 0
    scores = compute_scores(of_confusion(matrix))
    assert scores.absent == ("df",)
    assert set(scores.per_class["df"].values()) == {None}
    assert scores.undefined["recall[df]"] == "No case of class 'df'."
    recalls = [values["recall"] for name, values in scores.per_class.items() if name != "df"]
    assert scores.overall["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert scores.to_dict()["absent_classes"] == ["df"]


def test_a_class_that_is_never_predicted_has_no_precision():
    matrix = PUBLISHED.copy()
    matrix[:, 5] += matrix[:, 3]
    matrix[:, 3] = 0
    scores = compute_scores(of_confusion(matrix))
    assert scores.per_class["df"]["precision"] is None
    assert scores.per_class["df"]["recall"] == scores.per_class["df"]["f1"] == 0
    precisions = [values["precision"] or 0 for values in scores.per_class.values()]
    assert scores.overall["macro_precision"] == pytest.approx(np.mean(precisions))


def test_a_part_of_one_class_leaves_most_undefined():
    predictions = simulated(300)
    scores = compute_scores(predictions.rows(predictions.true == CLASSES.index("nv")))
    for name in (
        "roc_auc_macro",
        "roc_auc_weighted",
        "matthews",
        "cohen_kappa",
        "malignant_roc_auc",
        "macro_specificity",
        "melanoma_sensitivity_at_specificity_0.90",
    ):
        assert scores.overall[name] is None
        assert scores.undefined[name]
    assert scores.overall["accuracy"] == scores.per_class["nv"]["recall"]


def test_melanoma_is_found_by_its_name_only():
    scores = compute_scores(simulated(200, classes=("x", "y", "z")))
    assert scores.undefined["melanoma_sensitivity_at_specificity_0.90"] == "No class is melanoma."
    assert scores.undefined["malignant_roc_auc"] == "No class is known as malignant."
    assert scores.undefined["top_3_accuracy"] == "There are only 3 classes."
    given = compute_scores(simulated(200, classes=("x", "y", "z")), malignant=("z",))
    assert given.overall["malignant_roc_auc"] == given.per_class["z"]["roc_auc"]


def test_a_certain_and_wrong_prediction_has_a_finite_log_loss():
    predictions = simulated(50)
    sure = np.eye(7)[(predictions.true + 1) % 7]
    assert compute_scores(predictions.with_probabilities(sure)).overall["log_loss"] == pytest.approx(
        36.04, abs=0.01
    )


@dataclass
class Part:
    spec: MetricSpec
    provider: object = field(default="plugin lab of lab 1.0")

    @property
    def name(self):
        return self.spec.name


class Plugins:
    def __init__(self, *specs):
        self._specs = specs

    def parts(self, kind):
        assert kind == "metric"
        return [Part(spec) for spec in self._specs]


def metric(name, compute):
    return MetricSpec(name=name, title=name, compute=compute)


def broken(true, probabilities):
    raise ValueError("no such\nthing")


def test_metrics_of_plugins_are_added_and_a_broken_one_costs_itself_only():
    def spoil(true, probabilities):
        probabilities[:] = 0
        return float(true.mean())

    plugins = Plugins(
        metric("mean_label", spoil), metric("nothing", lambda t, p: float("nan")), metric("bad", broken)
    )
    predictions = simulated(100)
    scores = compute_scores(predictions, plugins=plugins)
    assert scores.overall["mean_label"] == predictions.true.mean()
    assert scores.overall["nothing"] is None and scores.overall["bad"] is None
    assert "it returned nan" in scores.undefined["nothing"]
    assert scores.undefined["bad"] == "The metric of plugin lab of lab 1.0 failed: ValueError: no such thing."
    assert predictions.probabilities.min() > 0
    assert scores.overall["accuracy"] is not None
