"""The scores that a training chooses epochs by."""

from __future__ import annotations

import numpy as np


def classification_scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return accuracy, balanced accuracy and macro-F1; the macro ones over the classes that have cases.

    Args:
        labels: Class indices `(n,)`.
        probabilities: `(n, classes)`.
    """
    from sklearn.metrics import accuracy_score, f1_score, recall_score

    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    options = {"labels": present, "average": "macro", "zero_division": 0}
    return {
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": float(recall_score(labels, predicted, **options)),
        "macro_f1": float(f1_score(labels, predicted, **options)),
    }


def cross_entropy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean unweighted cross-entropy, whatever the training minimises.

    Args:
        labels: One-hot labels `(n, classes)`.
        probabilities: `(n, classes)`; bounded from below by 1e-7, as Keras does.
    """
    bounded = np.clip(probabilities.astype(np.float64), 1e-7, 1.0)
    return float(-np.log((labels * bounded).sum(axis=1)).mean())
