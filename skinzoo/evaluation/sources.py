"""From what a user names to what yields probabilities: a run, several as an ensemble, or anything else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinzoo.errors import UsageError
from skinzoo.evaluation.combine import MEAN, check_method
from skinzoo.evaluation.ensemble import check_members, open_ensemble
from skinzoo.evaluation.predictor import Opened, Predictor, Progress, RunPredictor
from skinzoo.runs import load_run

if TYPE_CHECKING:
    from skinzoo.runs import Run


@dataclass(frozen=True)
class Source:
    """What is evaluated, before any model is loaded.

    Args:
        runs: The run, or the members of an ensemble.
        method: How members are combined.
        given: What yields probabilities without a run directory, such as an export or a server.
        opened: Makes a predictor of a run.
    """

    runs: tuple[Run, ...] = ()
    method: str = MEAN
    given: Predictor | None = None
    opened: Opened = RunPredictor

    @property
    def run(self) -> Run | None:
        """The run; None for anything else."""
        return self.runs[0] if len(self.runs) == 1 else None

    @property
    def folder(self) -> Path | None:
        """Where its reports are kept; None where nothing but the user's choice could tell."""
        return None if self.run is None else self.run.path / "evaluation"

    def history(self) -> list[dict[str, Any]]:
        """Return the history of the run's training; empty for an ensemble."""
        return [] if self.run is None else self.run.folder.history()

    def open(
        self, *, data: str | None = None, tta: str = "none", progress: Progress | None = None
    ) -> Predictor:
        """Return what yields the probabilities; the weights of an ensemble are chosen here.

        Args:
            data: Where the data lie now; where they were at training unless given.
            tta: Kind of test-time augmentation at the choice.
            progress: Called with the numbers of images done and of all images.

        Raises:
            DataError: The data are not those of the split.
        """
        if self.given is not None:
            return self.given
        if self.run is not None:
            return self.opened(self.run)
        return open_ensemble(
            self.runs, self.method, data=data, tta=tta, progress=progress, opened=self.opened
        )


def find_source(names: Sequence[str], method: str = MEAN, opened: Opened = RunPredictor) -> Source:
    """Find what is to be evaluated; needs no Keras.

    Args:
        names: Runs: paths, names, unique prefixes or `latest`.
        method: How several runs are combined.
        opened: Makes a predictor of a run.

    Raises:
        UsageError: There is no such run or method, or the runs do not fit together.
        DataError: Their classes or splits differ.
        ModelError: A run is not finished.
    """
    check_method(method)
    source = Source(tuple(load_run(name) for name in names), method, opened=opened)
    if len(names) > 1:
        check_members(source.runs)
    elif method != MEAN:
        raise UsageError(
            f"--combine must come with several runs. Received: one, '{names[0]}'.",
            hint="For example: skinzoo evaluate RUN1 RUN2 --combine subset",
        )
    return source
