"""Folds found quickly are those of scikit-learn."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedGroupKFold

from skinzoo.data.group_folds import QuickStratifiedGroupKFold


@pytest.mark.parametrize("seed", range(12))
def test_the_folds_are_those_of_scikit_learn(seed):
    random = np.random.default_rng(seed)
    count, folds = int(random.integers(150, 900)), int(random.integers(2, 11))
    labels = np.concatenate([np.repeat(np.arange(4), 12), random.choice(4, count, p=[0.7, 0.2, 0.07, 0.03])])
    groups = random.integers(0, count // int(random.integers(1, 4)), len(labels))
    expected, found = (
        list(kind(n_splits=folds, shuffle=True, random_state=seed).split(labels, labels, groups))
        for kind in (StratifiedGroupKFold, QuickStratifiedGroupKFold)
    )
    assert all(np.array_equal(a, b) for (_, a), (_, b) in zip(expected, found, strict=True))
