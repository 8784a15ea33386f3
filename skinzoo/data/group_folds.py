"""scikit-learn's stratified folds of groups, found in a tenth of its time."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

# Those of numpy.isclose, by which scikit-learn tells what is better from what is as good.
ABSOLUTE, RELATIVE = 1e-8, 1e-5


class QuickStratifiedGroupKFold(StratifiedGroupKFold):
    """The same folds as `StratifiedGroupKFold`.

    That one weighs the folds for a group one after another, which takes seconds for thousands of groups; here
    they are weighed at once. Should a later scikit-learn not call this method any more, its own folds come
    out, only later.
    """

    def _find_best_fold(
        self, y_counts_per_fold: np.ndarray, y_cnt: np.ndarray, group_y_counts: np.ndarray
    ) -> int:
        numbers = np.arange(self.n_splits)
        proposed = np.repeat(y_counts_per_fold[np.newaxis], self.n_splits, axis=0)
        proposed[numbers, numbers] += group_y_counts
        spreads = np.std(proposed / y_cnt, axis=1).mean(axis=1).tolist()
        samples = y_counts_per_fold.sum(axis=1).tolist()
        best = 0
        for number in range(1, self.n_splits):
            spread, least = spreads[number], spreads[best]
            is_close = abs(spread - least) <= ABSOLUTE + RELATIVE * abs(least)
            if spread < least or (is_close and samples[number] < samples[best]):
                best = number
        return best
