"""A sweep while it runs: what a process of it needs, and what is told of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinzoo.errors import StoppedError
from skinzoo.home import HOME_VARIABLE
from skinzoo.scale.outcomes import SETTLED, Outcome, outcome_of
from skinzoo.scale.sweep_file import SweepFile
from skinzoo.scale.trials import Trial, Trials
from skinzoo.training.runs import FAILED

SUFFIX = ".sweep"


class SweepListener:
    """Takes what a sweep has to say; this one is silent."""

    def notice(self, text: str) -> None:
        """Take a sentence that the user should read."""

    def epoch_ended(self, trial: str, row: Mapping[str, Any]) -> None:
        """Take an epoch of a trial."""

    def trial_ended(self, outcome: Outcome, settled: int, total: int) -> None:
        """Take what became of a trial, and how many of all are settled."""


@dataclass(frozen=True)
class Sweep:
    """A sweep that is read and checked.

    Args:
        file: What SWEEP.toml says.
        trials: Its trials.
        folder: Folder of runs.
    """

    file: SweepFile
    trials: Trials
    folder: Path

    @property
    def own_folder(self) -> Path:
        """Where the sweep keeps what is not of one run."""
        return self.folder / f"{self.file.name}{SUFFIX}"

    def outcomes(self) -> tuple[Outcome, ...]:
        """Return where each trial stands."""
        return tuple(outcome_of(one, self.folder, self.trials.metric) for one in self.trials.all)


class Progress:
    """What is known of the trials while they run.

    Args:
        sweep: The sweep.
        listener: Who is told.
        settled: Names of the trials that were settled before.
    """

    def __init__(self, sweep: Sweep, listener: SweepListener, *, settled: Iterable[str]) -> None:
        self.sweep = sweep
        self.listener = listener
        self.settled = set(settled)
        self._noticed: set[str] = set()
        self.said: dict[str, str] = {}
        self.metric = sweep.trials.metric

    def job(self, trial: Trial, *, waits: bool = False, threads: int | None = None) -> dict[str, Any]:
        """Return what a process needs to carry out a trial.

        Args:
            trial: The trial.
            waits: Whether each epoch is followed by a wait.
            threads: Threads where the trial leaves them open.
        """
        config = trial.config
        if threads and not config.hardware.threads:
            config = config.changed("hardware", threads=threads)
        bounds = self.sweep.file.bounds
        variables = {key: value for key, value in os.environ.items() if key.startswith("SKINZOO_")}
        if HOME_VARIABLE in variables:
            variables[HOME_VARIABLE] = str(Path(variables[HOME_VARIABLE]).expanduser().absolute())
        if bounds.gpus == 0:
            variables["CUDA_VISIBLE_DEVICES"] = "-1"
        return {
            "name": trial.name,
            "folder": str(self.sweep.folder.absolute()),
            "config": config.as_dict(),
            "waits": waits,
            "cwd": str(Path.cwd()),
            "env": variables,
            "log": str(self.sweep.own_folder.absolute() / "logs" / f"{trial.name}.log"),
            "memory": bounds.memory,
        }

    def take(self, trial: Trial, event: Mapping[str, Any]) -> None:
        """Take an event of a trial's process."""
        if "notice" in event:
            # What is to be said of the data is the same for all.
            if event["notice"] not in self._noticed:
                self._noticed.add(event["notice"])
                self.listener.notice(f"{trial.name}: {event['notice']}")
        elif "epoch" in event:
            self.listener.epoch_ended(trial.name, event["epoch"])
        elif "end" in event:
            if event["end"] == FAILED:
                self.said[trial.name] = event["message"]
            self.ended(trial)

    def ended(self, trial: Trial) -> None:
        """Tell what became of a trial."""
        outcome = self.outcome(trial)
        if outcome.state in SETTLED and trial.name not in self.settled:
            self.settled.add(trial.name)
            self.listener.trial_ended(outcome, len(self.settled), len(self.sweep.trials.all))

    def outcome(self, trial: Trial, *, kept: bool = False) -> Outcome:
        """Return where a trial stands."""
        said = self.said.get(trial.name, "")
        return outcome_of(trial, self.sweep.folder, self.metric, said=said, kept=kept)

    def stopped(self) -> StoppedError:
        """Return the error for a sweep that a signal stopped."""
        return StoppedError(
            f"Stopped; {len(self.settled)} of {len(self.sweep.trials.all)} trials are settled, the work of "
            "the others is saved.",
            hint="The same command goes on.",
        )
