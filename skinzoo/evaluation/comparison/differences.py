"""What separates a run from the best one of its split, where the predictions of both are kept."""

from __future__ import annotations

from collections.abc import Callable

from skinzoo.errors import DataError
from skinzoo.evaluation.comparison.entries import Entry
from skinzoo.evaluation.intervals import Difference, compare
from skinzoo.evaluation.predictions import Predictions, read_predictions

FITS = 1e-6
"""How far predictions may lie from the scores that were computed from them."""


class Differences:
    """Paired differences of runs to the best one of their split.

    Args:
        metric: Flat name of the metric.
        draws: Bootstrap draws.
        count: Differences that will be asked for.
        progress: Called with the numbers of differences done and of all.
    """

    def __init__(
        self, metric: str, draws: int, count: int, progress: Callable[[int, int], None] | None
    ) -> None:
        self.metric = metric
        self.draws = draws
        self._count = count
        self._done = 0
        self._progress = progress
        self._best: tuple[Entry, Predictions] | None = None

    def __call__(self, entry: Entry, best: Entry) -> tuple[Difference | None, str]:
        """Return a run's metric minus the best run's, or why there is none; neither for the best itself."""
        if entry is best:
            return None, ""
        found = self._difference(entry, best)
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._count)
        return found

    def _difference(self, entry: Entry, best: Entry) -> tuple[Difference | None, str]:
        if entry.values.get(self.metric) is None:
            return None, ""
        for one in (entry, best):
            if one.predictions is None:
                whose = "its predictions" if one is entry else "the best run's predictions"
                return None, f"{whose} are not kept"
        try:
            tests = compare(self._read(entry), self._read_best(best), draws=self.draws)
        except DataError as error:
            return None, error.message.rstrip(".")
        difference = tests.differences.get(self.metric)
        if difference is None:
            return None, "this metric has no paired test"
        stated = float(entry.values[self.metric] or 0.0) - float(best.values[self.metric] or 0.0)
        if abs(difference.value - stated) > FITS:
            return None, "predictions and evaluation do not fit each other: evaluate both anew"
        return difference, ""

    def _read(self, entry: Entry) -> Predictions:
        assert entry.predictions is not None
        return read_predictions(entry.predictions, classes=entry.card["classes"])

    def _read_best(self, best: Entry) -> Predictions:
        if self._best is None or self._best[0] is not best:
            self._best = best, self._read(best)
        return self._best[1]
