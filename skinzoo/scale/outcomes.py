"""What became of a sweep's trials, read from their run directories."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinzoo.scale.trial_process import EVALUATED
from skinzoo.scale.trials import Trial
from skinzoo.settings import MONITORS
from skinzoo.training.runs import (
    CARD_FILE,
    CONFIG_FILE,
    FAILED,
    FAILURE_FILE,
    FINISHED,
    STOPPED,
    RunFolder,
    best_row,
)

STOPPED_FILE = "stopped_by_sweep.json"
STOPPED_EARLY, NEW = "stopped early", "to do"
SETTLED = (FINISHED, STOPPED_EARLY, FAILED)
"""What is not trained again."""


@dataclass(frozen=True)
class Outcome:
    """Where a trial stands.

    Args:
        trial: The trial.
        state: `finished`, `stopped early` by the sweep, `failed`, `stopped` (it can go on) or `to do`.
        epochs: Epochs done.
        score: The metric at its best epoch; None before the first.
        message: Why it failed; empty where it did not.
        kept: Whether it was settled before this sweep began.
    """

    trial: Trial
    state: str
    epochs: int = 0
    score: float | None = None
    message: str = ""
    kept: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        trial = self.trial
        return {
            "run": trial.name,
            "state": self.state,
            "variant": trial.config.model.variant,
            "recipe": trial.config.recipe,
            "fold": trial.fold,
            "seed": trial.seed,
            "settings": dict(trial.chosen),
            "epochs": self.epochs,
            "score": self.score,
            "message": self.message,
        }


@dataclass(frozen=True)
class Setting:
    """One setting with the scores of its trials, which differ by fold and seed.

    Args:
        trial: The first of them.
        scores: Scores of those that finished.
        trials: How many there are.
    """

    trial: Trial
    scores: tuple[float, ...]
    trials: int

    @property
    def complete(self) -> bool:
        """Whether all of its trials finished."""
        return len(self.scores) == self.trials

    @property
    def mean(self) -> float | None:
        """Mean of the scores."""
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def spread(self) -> float | None:
        """Standard deviation of the scores, from two on."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "variant": self.trial.config.model.variant,
            "recipe": self.trial.config.recipe,
            "recipe_hash": self.trial.config.recipe_hash,
            "settings": dict(self.trial.chosen),
            "mean": self.mean,
            "standard_deviation": self.spread,
            "finished": len(self.scores),
            "trials": self.trials,
        }


def outcome_of(trial: Trial, folder: Path, metric: str, *, said: str = "", kept: bool = False) -> Outcome:
    """Return where a trial stands.

    Args:
        trial: The trial.
        folder: Folder of runs.
        metric: The score to report.
        said: Why it failed in this sweep, where it did and its run does not say so.
        kept: Whether to note that it was settled before.
    """
    run = RunFolder(folder / trial.name)
    if not (run.path / CONFIG_FILE).exists():
        return Outcome(trial, FAILED if said else NEW, message=said)
    history = run.history()
    if (run.path / CARD_FILE).exists() and not said:
        # One that was killed before it was evaluated has that left to do.
        state = FINISHED if (run.path / EVALUATED).exists() else STOPPED
    elif (run.path / STOPPED_FILE).exists():
        state = STOPPED_EARLY
    else:
        state = FAILED if said or (run.path / FAILURE_FILE).exists() else STOPPED
    message = said
    if state == FAILED and (run.path / FAILURE_FILE).exists():
        message = str(run.document(FAILURE_FILE)["message"])
    best = best_row(history, trial.config.training.select)
    score = None if best is None else float(best[metric])
    return Outcome(trial, state, len(history), score, message, kept)


def rank_settings(outcomes: Sequence[Outcome], metric: str) -> tuple[Setting, ...]:
    """Return the settings, the best first: by the mean over folds and seeds, incomplete ones behind."""
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        groups.setdefault(one.trial.setting, []).append(one)
    settings = [
        Setting(
            group[0].trial,
            tuple(one.score for one in group if one.state == FINISHED and one.score is not None),
            len(group),
        )
        for group in groups.values()
    ]
    sign = -1.0 if MONITORS[metric] == "max" else 1.0

    def key(setting: Setting) -> tuple[Any, ...]:
        mean = setting.mean
        return not setting.complete, mean is None, sign * (mean or 0.0)

    return tuple(sorted(settings, key=key))


def counted(outcomes: Sequence[Outcome]) -> Mapping[str, int]:
    """Return how many trials are in each state, states without any left out."""
    states = [one.state for one in outcomes]
    return {state: states.count(state) for state in dict.fromkeys(states)}
