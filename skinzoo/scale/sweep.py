"""The service behind `skinzoo sweep`: trials carried out and ranked, the best setting as a recipe file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinzoo.errors import UsageError
from skinzoo.extras import require
from skinzoo.files import write_json, write_text
from skinzoo.home import runs_folder
from skinzoo.scale.best import BEST_FILE, best_as_toml
from skinzoo.scale.cluster import EXTRA, connect
from skinzoo.scale.outcomes import SETTLED, Outcome, Setting, rank_settings
from skinzoo.scale.progress import Progress, Sweep, SweepListener
from skinzoo.scale.sweep_file import read_sweep
from skinzoo.scale.trials import Trial, check_data, make_trials
from skinzoo.scale.watched import TrialProcess
from skinzoo.training.lock import locked
from skinzoo.training.runs import FAILED, FINISHED, STOPPED
from skinzoo.training.signals import StopRequest

if TYPE_CHECKING:
    from skinzoo.evaluation.comparison.ranking import Comparison

RESULT_FILE, TABLE_FILE, PAGE_FILE = "sweep.json", "comparison.md", "comparison.html"
FORMAT = 1
# Scores of a training and the metrics of an evaluation that are the same.
METRICS = {
    "val_loss": "log_loss",
    "val_accuracy": "accuracy",
    "val_balanced_accuracy": "balanced_accuracy",
    "val_macro_f1": "macro_f1",
}


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found.

    Args:
        sweep: The sweep.
        outcomes: What became of each trial.
        settings: The settings, the best first.
        comparison: The finished runs beside each other on their validation part; None where there is none.
        best: The file with the best setting; None where no trial finished.
    """

    sweep: Sweep
    outcomes: tuple[Outcome, ...]
    settings: tuple[Setting, ...]
    comparison: Comparison | None
    best: Path | None

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The trials that failed."""
        return tuple(one for one in self.outcomes if one.state == FAILED)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "kind": "skinzoo sweep",
            "format": FORMAT,
            "name": self.sweep.file.name,
            "metric": self.sweep.trials.metric,
            "trials": [one.to_dict() for one in self.outcomes],
            "settings": [one.to_dict() for one in self.settings],
            "best": str(self.best) if self.best else None,
            "comparison": self.comparison.to_dict() if self.comparison else None,
        }


def plan_sweep(path: Path, folder: Path | None = None) -> Sweep:
    """Read a SWEEP.toml and check every trial; nothing of the data is read.

    Args:
        path: The file.
        folder: Folder of runs; the usual one unless given.

    Raises:
        UsageError: Something in it is unknown or cannot be honoured.
        PluginError: A part that no plugin registers.
        DataError: Data that cannot be found.
    """
    file = read_sweep(path)
    return Sweep(file, make_trials(file), folder or runs_folder())


def carry_out(
    sweep: Sweep, *, ray: bool = False, address: str | None = None, listener: SweepListener | None = None
) -> SweepResult:
    """Carry out the trials that are not settled yet, and rank all.

    A trial that fails is reported and ends nothing; one whose process is killed goes on from its checkpoint.

    Args:
        sweep: The sweep.
        ray: Whether trials run at a time through Ray Tune, instead of one after another.
        address: A running Ray cluster; None for one that is started on this machine.
        listener: Who is told of what happens.

    Raises:
        UsageError: Another process carries it out, or its split has no validation part of its own.
        DataError: The data cannot be used.
        MissingExtraError: Ray is asked for and not installed.
        ServingError: There is no cluster at the address.
        StoppedError: A signal asked to stop; the same sweep goes on where it ended.
    """
    listener = listener or SweepListener()
    for text in sweep.trials.notices:
        listener.notice(text)
    if ray:
        require("ray", extra=EXTRA, purpose="`skinzoo sweep --ray`")
    check_data(sweep.trials)
    sweep.own_folder.mkdir(parents=True, exist_ok=True)
    with _alone(sweep.own_folder):
        before = {one.trial.name: one for one in sweep.outcomes() if one.state in SETTLED}
        if before:
            listener.notice(f"{len(before)} of {len(sweep.trials.all)} trials are settled already.")
        progress = Progress(sweep, listener, settled=before)
        to_do = [one for one in sweep.trials.all if one.name not in before]
        if to_do and ray:
            with connect(address, purpose="`skinzoo sweep --ray`") as cluster:
                from skinzoo.scale.tuned import run_trials

                run_trials(cluster, to_do, list(before.values()), progress)
        elif to_do:
            if sweep.file.asha is not None:
                listener.notice("Every trial runs to its end: [asha] is for --ray.")
            _one_after_another(to_do, progress)
        return _result(sweep, progress, frozenset(before))


def _one_after_another(trials: list[Trial], progress: Progress) -> None:
    current: list[TrialProcess] = []

    def announce(text: str) -> None:
        progress.listener.notice(text)
        for process in current:
            process.ask_to_stop()

    with StopRequest(announce) as stop:
        for trial in trials:
            process = TrialProcess(progress.job(trial))
            current[:] = [process]
            try:
                for event in process:
                    progress.take(trial, event)
                    if stop and event.get("end") == STOPPED:
                        break
            except KeyboardInterrupt:
                raise progress.stopped() from None
            finally:
                current.clear()
                process.close(at_once=True)
            if stop:
                raise progress.stopped()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(folder))
        except UsageError as error:
            raise UsageError(
                f"A sweep must run once at a time. Received: '{folder}', in use by another process.",
                hint="Wait for it to end, or give this one another name.",
            ) from error
        yield


def _result(sweep: Sweep, progress: Progress, before: frozenset[str]) -> SweepResult:
    outcomes = tuple(progress.outcome(one, kept=one.name in before) for one in sweep.trials.all)
    settings = rank_settings(outcomes, sweep.trials.metric)
    comparison = _compare(sweep, outcomes)
    best = None
    if settings[0].scores:
        best = sweep.own_folder / BEST_FILE
        write_text(best, best_as_toml(settings[0], sweep))
    result = SweepResult(sweep, outcomes, settings, comparison, best)
    if comparison is not None:
        from skinzoo.evaluation.comparison.writing import write_comparison

        for file in (TABLE_FILE, PAGE_FILE):
            write_comparison(comparison, sweep.own_folder / file)
    write_json(sweep.own_folder / RESULT_FILE, result.to_dict())
    return result


def _compare(sweep: Sweep, outcomes: tuple[Outcome, ...]) -> Comparison | None:
    names = [str(sweep.folder / one.trial.name) for one in outcomes if one.state == FINISHED]
    if not names:
        return None
    from skinzoo.evaluation.comparison.entries import entries_of
    from skinzoo.evaluation.comparison.ranking import rank_runs

    entries, left = entries_of(names, "validation")
    return rank_runs(entries, left, by=METRICS[sweep.trials.metric], across_splits=True)
