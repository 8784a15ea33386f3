"""A whole batch: cases through a model, into a file that an interrupted batch is gone on with from."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import Protocol

from skinzoo.client.cases import Case, Result
from skinzoo.client.model import Model
from skinzoo.client.options import ClientOptions
from skinzoo.client.outputs import ResultFile, Tally
from skinzoo.client.sources import Source


class Predictor(Protocol):
    """What classifies: `Client`, `RunPredictor` or `ExportPredictor`."""

    model: Model
    options: ClientOptions

    def classify_many(self, cases: Iterable[Case]) -> Generator[Result, None, None]:
        """Return one result for each case, in order."""


def predict(
    predictor: Predictor,
    source: Source,
    *,
    file: ResultFile | None = None,
    each: Callable[[Result], None] = lambda result: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tally:
    """Classify all cases.

    Args:
        predictor: The model.
        source: The cases.
        file: Where results go; cases that it has results of are left out.
        each: Called with each new result, in order.
        progress: Called with the numbers of cases done and of all.

    Returns:
        How many were answered and how many failed, those that the file had included.

    Raises:
        ServingError: The server went away for good; what was answered is in the file.
        UsageError: The file does not belong to these cases.
    """
    cases = source.cases()
    tally = Tally()
    if file is not None:
        file.begin(cases, predictor.model)
        tally = file.tally
    progress(tally.total, source.total)
    with closing(predictor.classify_many(cases)) as results:
        for result in results:
            if file is not None:
                file.write(result)
            else:
                tally.add(failed=not result.ok)
            each(result)
            progress(tally.total, source.total)
    return tally
