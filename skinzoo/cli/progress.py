"""How a training shows on a terminal and, without one, as plain lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from skinzoo.cli import render
from skinzoo.training.listener import Listener, StepReport

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PLAIN_SECONDS = 30.0
SCORES = {
    "val_loss": "val loss",
    "val_accuracy": "acc",
    "val_balanced_accuracy": "bal. acc",
    "val_macro_f1": "F1",
}


@contextmanager
def training_listener() -> Iterator[Listener]:
    """Give a listener that suits stderr: Rich progress on a terminal, plain lines otherwise."""
    console = render.console(stderr=True)
    if not console.is_terminal:
        yield PlainListener()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[details]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield LiveListener(progress)


class PlainListener(Listener):
    """Prints lines: one an epoch, and one every half minute within an epoch."""

    report_seconds = PLAIN_SECONDS

    def __init__(self) -> None:
        self._prepared_at = time.monotonic()

    def notice(self, text: str) -> None:
        """Print on stderr."""
        render.notice(text)

    def began(self, summary: Mapping[str, Any]) -> None:
        """Print what is trained."""
        render.notice(describe_beginning(summary))

    def prepared(self, what: str, done: int, total: int) -> None:
        """Print at the end and every half minute."""
        if done == total or time.monotonic() - self._prepared_at >= PLAIN_SECONDS:
            self._prepared_at = time.monotonic()
            render.notice(f"{what}: {done:,} of {total:,}")

    def stepped(self, report: StepReport) -> None:
        """Print unless the epoch's own line follows at once."""
        if report.step < report.steps:
            render.notice(
                f"epoch {report.epoch}/{report.epochs} ({report.phase}), step {report.step}/{report.steps}: "
                f"{describe_step(report)}"
            )

    def epoch_ended(self, row: Mapping[str, Any], best: bool) -> None:
        """Print the epoch's scores."""
        render.notice(describe_epoch(row, best))


class LiveListener(Listener):
    """Moves a Rich progress bar; epochs are lines above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, tuple[str, TaskID]] = {}
        self._best = ""

    def notice(self, text: str) -> None:
        """Print above the bar."""
        self._progress.console.print(text)

    def began(self, summary: Mapping[str, Any]) -> None:
        """Print what is trained."""
        self._progress.console.print(describe_beginning(summary))
        self._show("training", "Compiling the first step", 0, summary["steps"], "")

    def prepared(self, what: str, done: int, total: int) -> None:
        """Move a bar of its own, which goes when all is done."""
        if done == total:
            self._hide("preparation")
        elif "training" in self._tasks:
            # Where the training is told of, a narrow terminal has no room for more than its details.
            self._show("preparation", "", done, total, f"{what}: {done:,} of {total:,}")
        else:
            self._show("preparation", what, done, total, "")

    def stepped(self, report: StepReport) -> None:
        """Move the bar."""
        self._show(
            "training",
            f"epoch {report.epoch}/{report.epochs} {report.phase}",
            report.step,
            report.steps,
            f"{describe_step(report)}{self._best}",
        )

    def epoch_ended(self, row: Mapping[str, Any], best: bool) -> None:
        """Print the epoch's scores above the bar."""
        self._progress.console.print(describe_epoch(row, best))
        if best:
            self._best = f"  best: epoch {row['epoch']}, bal. acc {row['val_balanced_accuracy']:.3f}"

    def _show(self, bar: str, what: str, done: int, total: int, details: str) -> None:
        shown = self._tasks.get(bar)
        if shown is None or shown[0] != what:
            self._hide(bar)
            shown = self._tasks[bar] = what, self._progress.add_task(what, total=total, details=details)
        self._progress.update(shown[1], completed=done, details=details)

    def _hide(self, bar: str) -> None:
        if bar in self._tasks:
            self._progress.remove_task(self._tasks.pop(bar)[1])


def describe_beginning(summary: Mapping[str, Any]) -> str:
    """Return one line on what is trained."""
    cases = ", ".join(f"{count:,} {part}" for part, count in summary["cases"].items())
    weights = "random weights" if summary["weights"] == "none" else f"weights from {summary['weights']}"
    before = ""
    if summary["before"]:
        epoch, step = summary["before"]
        before = f" Going on {f'in epoch {epoch + 1} after step {step}' if step else f'after epoch {epoch}'}."
    return (
        f"Training {summary['variant']['variant']} by recipe {summary['recipe']} on {cases} cases: "
        f"{render.number_of(summary['epochs'], 'epoch')} of {render.number_of(summary['steps'], 'step')}, "
        f"{summary['parameters']:,} parameters, {weights}, {summary['precision']} on "
        f"{', '.join(summary['devices'])}.{before} Run: {summary['run']}"
    )


def describe_step(report: StepReport) -> str:
    """Return how fast and how well a step goes."""
    parts = [f"loss {report.loss:.4f}", f"accuracy {report.accuracy:.3f}"]
    if report.images_per_second is not None:
        parts.append(f"{report.images_per_second:,.1f} images/s")
    if report.seconds_left is not None:
        parts.append(f"{duration(report.seconds_left)} left")
    return ", ".join(parts)


def describe_epoch(row: Mapping[str, Any], best: bool) -> str:
    """Return an epoch's scores on one line."""
    scores = ", ".join(f"{title} {row[name]:.4f}" for name, title in SCORES.items())
    return (
        f"epoch {row['epoch']} ({row['phase']}): loss {row['loss']:.4f}, {scores}, "
        f"{row['images_per_second']:,.1f} images/s, {duration(row['seconds'])}"
        f"{', best so far' if best else ''}"
    )


def duration(seconds: float) -> str:
    """Return seconds as hours, minutes or seconds."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


@contextmanager
def prediction_progress() -> Iterator[Callable[[int, int], None]]:
    """Give a function that shows how many images are predicted; a plain line only where it takes long."""
    with training_listener() as listener:
        began = time.monotonic()

        def report(done: int, total: int) -> None:
            if not isinstance(listener, PlainListener) or time.monotonic() - began >= PLAIN_SECONDS:
                listener.prepared("Predicting", done, total)

        yield report
