"""The losses' formulas in float64 NumPy, written from the papers, case by case."""

import math

import numpy as np

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
HAM10000 = (327, 514, 1099, 115, 1113, 6705, 142)


def balanced(counts, power=1.0):
    return [(sum(counts) / (len(counts) * n)) ** power for n in counts]


def cross_entropy(y, p, weights=None, smoothing=0.0):
    weights = [1.0] * y.shape[1] if weights is None else weights
    out = []
    for labels, probabilities in zip(y, p, strict=True):
        smooth = [(1 - smoothing) * label + smoothing / len(labels) for label in labels]
        out.append(-sum(w * s * math.log(q) for w, s, q in zip(weights, smooth, probabilities, strict=True)))
    return np.array(out)


def focal(y, p, gamma, weights=None):
    weights = [1.0] * y.shape[1] if weights is None else weights
    return np.array(
        [
            -sum(
                w * label * (1 - q) ** gamma * math.log(q)
                for w, label, q in zip(weights, labels, probabilities, strict=True)
            )
            for labels, probabilities in zip(y, p, strict=True)
        ]
    )


def logit_adjusted(y, p, counts, tau):
    """Menon et al. 2021, Eq. 10, with logits log p + 5: the constant must not matter."""
    out = []
    for labels, probabilities in zip(y, p, strict=True):
        adjusted = [
            math.exp(math.log(q) + 5 + tau * math.log(n / sum(counts)))
            for q, n in zip(probabilities, counts, strict=True)
        ]
        out.append(
            -sum(label * math.log(a / sum(adjusted)) for label, a in zip(labels, adjusted, strict=True))
        )
    return np.array(out)


def multi_weighted(logits, classes, gamma, threshold, weights):
    """Yao et al. 2022 for hard labels and logits that sum to 0 in each case."""
    out = []
    for z, y in zip(logits, classes, strict=True):
        total = 0.0
        for i, score in enumerate(z):
            q = 1 / (1 + math.exp(-(score if i == y else -score)))
            q = max(q, threshold)
            total += -((1 - q) ** gamma) * math.log(q)
        out.append(weights[y] * total)
    return np.array(out)


def softmax(logits):
    e = np.exp(logits - np.max(logits, axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cases(seed=0, n=12, classes=7, spread=2.0):
    """Return centred logits `(n, classes)`, their probabilities, class indices and one-hot labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=spread, size=(n, classes))
    logits -= logits.mean(axis=1, keepdims=True)
    index = rng.integers(classes, size=n)
    return logits, softmax(logits), index, np.eye(classes)[index]
