"""Figures of an evaluation, as matplotlib figures with a text that says what they show."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import metrics as sk

from skinzoo.evaluation.calibration import Reliability
from skinzoo.evaluation.definitions import of_class
from skinzoo.evaluation.intervals import Interval
from skinzoo.evaluation.metrics import Scores
from skinzoo.evaluation.predictions import Predictions
from skinzoo.files import replacing
from skinzoo.pages.drawing import BAR, INK, LINE, MUTED, PALETTE, WIDTH, Plot, style, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DOTS_PER_INCH = 160
_DASHES = ("-", "--", "-.", ":")


@dataclass(frozen=True)
class Picture:
    """One figure.

    Args:
        name: Name of its file without suffix.
        title: What it shows.
        alt: The same in words, with the numbers that matter.
        figure: The figure.
        note: A sentence under the title; empty where none is needed.
    """

    name: str
    title: str
    alt: str
    figure: Figure
    note: str = ""

    def plot(self) -> Plot:
        """Return it for a page."""
        with style():
            return Plot(self.title, svg(self.figure), self.alt, self.note)

    def save(self, folder: Path) -> Path:
        """Write it as PNG and return the file."""
        path = folder / f"{self.name}.png"
        with replacing(path) as temporary, style():
            # On a page the title stands above the figure; a file has to carry its own.
            title = self.figure.suptitle(self.title, fontsize=11, fontweight="bold")
            self.figure.savefig(temporary, format="png", dpi=_DOTS_PER_INCH, facecolor="white")
            title.set_text("")
        return path


def confusion_picture(scores: Scores, *, normalised: bool) -> Picture:
    """Return the confusion matrix, in cases or in percent of each true class."""
    counts = scores.confusion
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.full(counts.shape, np.nan), where=totals > 0)
    size = max(3.4, 0.56 * len(scores.classes) + 0.9)

    def draw(axes: Axes) -> None:
        axes.imshow(np.nan_to_num(shares), cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(scores.classes)), scores.classes, rotation=_turned(scores.classes))
        axes.set_yticks(range(len(scores.classes)), scores.classes)
        axes.set_xlabel("Predicted class")
        axes.set_ylabel("True class")
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.set_xticks(np.arange(len(scores.classes) + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(len(scores.classes) + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="minor", length=0)
        for row, column in np.ndindex(*counts.shape):
            share = shares[row, column]
            text = _percent(share) if normalised else f"{counts[row, column]:,}"
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center",
                fontsize=9.5,
                fontweight="bold" if row == column else "normal",
                color="white" if share > 0.55 else (INK if counts[row, column] else "#9aa3ad"),
            )

    what = "in percent of the true class" if normalised else "in cases"
    rows = "; ".join(
        f"{name}: "
        + ", ".join(
            f"{other} {100 * shares[i, j]:.0f}" if normalised else f"{other} {counts[i, j]:,}"
            for j, other in enumerate(scores.classes)
            if counts[i, j]
        )
        for i, name in enumerate(scores.classes)
        if totals[i, 0]
    )
    return make_picture(
        "confusion_normalised" if normalised else "confusion",
        f"Confusion matrix, {what}",
        draw,
        alt=f"Confusion matrix {what}, true class to predicted classes. {rows}.",
        note="Rows are true classes; a darker cell is a larger share of its row." if not normalised else "",
        height=size,
    )


def roc_picture(
    predictions: Predictions, scores: Scores, intervals: Mapping[str, Interval | None] | None = None
) -> Picture:
    """Return the one-vs-rest ROC curve of each class with its area."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1, zorder=1)
        for i, label in _curves(predictions, scores, "roc_auc", intervals):
            x, y, _ = sk.roc_curve(predictions.true == i, predictions.probabilities[:, i])
            axes.plot(x, y, _DASHES[i // len(PALETTE) % 4], color=_color(i), linewidth=1.6, label=label)
        axes.set_xlabel("1 - specificity")
        axes.set_ylabel("Sensitivity")
        _unit_square(axes)
        axes.legend(frameon=False, loc="lower right", fontsize=8.5, title="Class, area", title_fontsize=8.5)

    areas = _named(scores, "roc_auc")
    return make_picture(
        "roc",
        "ROC curves, one class against the rest",
        draw,
        alt=f"ROC curves, one class against the rest. Areas: {areas}.",
        note=_absent(scores),
        height=WIDTH,
    )


def precision_recall_picture(
    predictions: Predictions, scores: Scores, intervals: Mapping[str, Interval | None] | None = None
) -> Picture:
    """Return the one-vs-rest precision-recall curve of each class with its average precision."""

    def draw(axes: Axes) -> None:
        for i, label in _curves(predictions, scores, "average_precision", intervals):
            precision, recall, _ = sk.precision_recall_curve(
                predictions.true == i, predictions.probabilities[:, i]
            )
            axes.plot(
                recall,
                precision,
                _DASHES[i // len(PALETTE) % 4],
                color=_color(i),
                linewidth=1.6,
                label=label,
                drawstyle="steps-post",
            )
        axes.set_xlabel("Recall")
        axes.set_ylabel("Precision")
        _unit_square(axes)
        axes.legend(
            frameon=True,
            framealpha=0.85,
            edgecolor="none",
            loc="lower left",
            fontsize=8.5,
            title="Class, average precision",
            title_fontsize=8.5,
        )

    return make_picture(
        "precision_recall",
        "Precision and recall, one class against the rest",
        draw,
        alt="Precision-recall curves, one class against the rest. "
        f"Average precisions: {_named(scores, 'average_precision')}.",
        note=_absent(scores),
        height=WIDTH,
    )


def class_bars_picture(
    metric: str,
    title: str,
    scores: Scores,
    intervals: Mapping[str, Interval | None] | None = None,
    *,
    name: str = "",
    other: Scores | None = None,
    other_intervals: Mapping[str, Interval | None] | None = None,
    other_name: str = "",
) -> Picture:
    """Return a metric of each class as bars, beside those of another run where one is given.

    Args:
        metric: A metric of classes, `f1` or `recall`.
        title: Its name for readers.
        scores: The run.
        intervals: Its intervals.
        name: Its name in the legend.
        other: Another run's metrics.
        other_intervals: Its intervals.
        other_name: Its name in the legend.
    """
    runs = [(scores, intervals or {}, name, BAR)]
    if other is not None:
        runs.append((other, other_intervals or {}, other_name, PALETTE[1]))
    each = 0.8 / len(runs)

    def draw(axes: Axes) -> None:
        for number, (run, known, label, color) in enumerate(runs):
            for i, class_name in enumerate(scores.classes):
                value = run.per_class[class_name][metric]
                place = i - 0.4 + each * (number + 0.5)
                if value is None:
                    axes.text(0.01, place, _why(run, class_name), va="center", fontsize=8.5, color=MUTED)
                    continue
                axes.barh(place, value, height=each * 0.9, color=color, label=label if i == 0 else None)
                interval = known.get(of_class(metric, class_name))
                end = value
                if interval is not None:
                    axes.plot([interval.low, interval.high], [place, place], color=INK, linewidth=1.1)
                    end = max(value, interval.high)
                axes.annotate(
                    f"{value:.2f}",
                    (end, place),
                    xytext=(4, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=8.5,
                )
        axes.set_yticks(range(len(scores.classes)), [f"{n}  ({scores.support[n]:,})" for n in scores.classes])
        axes.set_ylim(len(scores.classes) - 0.5, -0.5)
        axes.set_xlim(0, 1.12)
        axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.set_xlabel(title)
        axes.xaxis.grid(True, color=LINE)
        axes.tick_params(length=0)
        if other is not None:
            handles = [_patch(color, label) for _, _, label, color in runs]
            axes.legend(
                handles=handles, frameon=False, loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=1
            )

    words = "; ".join((f"{label}: " if label else "") + _named(run, metric) for run, _, label, _ in runs)
    return make_picture(
        f"{metric}_by_class",
        f"{title} of each class",
        draw,
        alt=f"{title} of each class. {words}.",
        note="Lines are 95% intervals; in brackets the cases." if intervals else "In brackets the cases.",
        height=max(2.4, (0.28 + 0.2 * len(runs)) * len(scores.classes) + 0.9),
    )


def reliability_picture(before: Reliability, after: Reliability | None = None) -> Picture:
    """Return the reliability diagram of the top label over the histogram of confidences.

    Args:
        before: The data as predicted.
        after: The data after calibration, where there is one.
    """

    def draw(figure: Figure) -> None:
        top, bottom = figure.subplots(2, 1, height_ratios=(3, 1), sharex=True)
        top.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":", label="perfect")
        for data, color, label in ((before, BAR, "as predicted"), (after, PALETTE[4], "calibrated")):
            if data is None:
                continue
            points = [(c, a) for c, a in zip(data.confidence, data.accuracy, strict=True) if c is not None]
            error = data.expected_calibration_error
            top.plot(*zip(*points, strict=True), "o-", markersize=4, linewidth=1.5, color=color,
                     label=f"{label}, error {error:.3f}")  # fmt: skip
        top.set_ylabel("Accuracy")
        top.set_xlim(0, 1)
        top.set_ylim(0, 1.02)
        top.grid(True, color=LINE)
        top.legend(frameon=False, loc="upper left", fontsize=9)
        top.tick_params(length=0)
        total = sum(before.cases)
        edges = np.array(before.edges)
        bottom.bar(
            edges[:-1],
            [100 * n / total for n in before.cases],
            width=np.diff(edges) * 0.92,
            align="edge",
            color=BAR,
        )
        if after is not None:
            bottom.step(
                edges,
                [*(100 * n / total for n in after.cases), 0],
                where="post",
                color=PALETTE[4],
                linewidth=1.3,
            )
        bottom.set_xlabel("Probability of the predicted class")
        bottom.set_ylabel("% of cases")
        bottom.yaxis.grid(True, color=LINE)
        bottom.tick_params(length=0)

    words = ", ".join(
        f"{c:.2f} confident and {a:.2f} right in {n:,} cases"
        for c, a, n in zip(before.confidence, before.accuracy, before.cases, strict=True)
        if c is not None
    )
    return _picture_of_figure(
        "reliability",
        "Reliability",
        draw,
        alt=f"Reliability diagram. Expected calibration error {before.expected_calibration_error:.3f}"
        + (f", {after.expected_calibration_error:.3f} after calibration" if after else "")
        + f". Bins: {words}.",
        note="Below the dotted line a model is surer than it is right.",
        height=4.4,
    )


def learning_picture(history: Sequence[Mapping[str, Any]]) -> Picture | None:
    """Return loss and accuracy of each epoch; None where the history holds neither.

    Args:
        history: One mapping an epoch, with `epoch`, `loss`, `val_loss` and the like.
    """
    names = [name for name in ("loss", "accuracy") if history and name in history[0]]
    if not names:
        return None
    epochs = [int(row["epoch"]) for row in history]

    def draw(figure: Figure) -> None:
        for axes, name in zip(np.atleast_1d(figure.subplots(len(names), 1, sharex=True)), names, strict=True):
            for key, color, label in ((name, BAR, "training"), (f"val_{name}", PALETTE[4], "validation")):
                if key in history[0]:
                    marker = "o" if len(epochs) < 15 else None
                    axes.plot(
                        epochs,
                        [row[key] for row in history],
                        color=color,
                        label=label,
                        marker=marker,
                        markersize=3,
                    )
            axes.set_ylabel(name.capitalize())
            axes.grid(True, color=LINE)
            axes.tick_params(length=0)
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.axes[0].legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        figure.axes[-1].set_xlabel("Epoch")

    last = history[-1]
    words = ", ".join(
        f"{key} {last[key]:.3f}" for name in names for key in (name, f"val_{name}") if key in last
    )
    return _picture_of_figure(
        "learning_curves",
        "Learning curves",
        draw,
        alt=f"Learning curves over {len(epochs)} epochs. At the end: {words}.",
        height=2.1 * len(names) + 0.4,
    )


def metric_differences_picture(
    differences: Mapping[str, tuple[str, float, Interval | None]], first: str, second: str
) -> Picture:
    """Return differences between two runs with their intervals.

    Args:
        differences: Metric name to title, difference and interval.
        first: Name of the first run.
        second: Name of the run that is taken off.
    """

    def draw(axes: Axes) -> None:
        for place, (_, value, interval) in enumerate(differences.values()):
            clear = interval is not None and not interval.low <= 0 <= interval.high
            color = BAR if clear else MUTED
            if interval is not None:
                axes.plot([interval.low, interval.high], [place, place], color=color, linewidth=1.6)
            axes.plot([value], [place], "o", color=color, markersize=5)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_yticks(range(len(differences)), [title for title, _, _ in differences.values()])
        axes.set_ylim(len(differences) - 0.5, -0.5)
        axes.set_xlabel("Difference")
        axes.xaxis.grid(True, color=LINE)
        axes.tick_params(length=0)

    words = ", ".join(f"{title} {value:+.3f}" for title, value, _ in differences.values())
    return make_picture(
        "differences",
        "Differences between the two runs",
        draw,
        alt=f"{first} minus {second}: {words}.",
        note=f"{first} minus {second}, with 95% intervals of the paired bootstrap; grey where 0 is inside.",
        height=max(2.0, 0.33 * len(differences) + 0.8),
    )


def make_picture(
    name: str, title: str, draw: Callable[[Axes], None], *, alt: str, note: str = "", height: float
) -> Picture:
    """Return a figure with one set of axes.

    Args:
        name: Name of its file without suffix.
        title: What it shows.
        draw: Draws it.
        alt: The same in words, with the numbers that matter.
        note: A sentence under the title.
        height: Height in inches.
    """
    return _picture_of_figure(
        name, title, lambda figure: draw(figure.subplots()), alt=alt, note=note, height=height
    )


def _picture_of_figure(
    name: str, title: str, draw: Callable[[Figure], None], *, alt: str, note: str = "", height: float
) -> Picture:
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure)
    return Picture(name, title, alt, figure, note)


def _curves(
    predictions: Predictions,
    scores: Scores,
    metric: str,
    intervals: Mapping[str, Interval | None] | None,
) -> list[tuple[int, str]]:
    found = []
    for i, name in enumerate(predictions.classes):
        value = scores.per_class[name][metric]
        if value is not None:
            interval = (intervals or {}).get(of_class(metric, name))
            spread = f" ({interval.low:.3f}-{interval.high:.3f})" if interval is not None else ""
            found.append((i, f"{name} {value:.3f}{spread}"))
    return found


def _named(scores: Scores, metric: str) -> str:
    return ", ".join(
        f"{name} {value:.3f}"
        if (value := scores.per_class[name][metric]) is not None
        else f"{name} undefined"
        for name in scores.classes
    )


def _percent(share: float) -> str:
    if np.isnan(share):
        return ""
    return "<1" if 0 < share < 0.005 else f"{100 * share:.0f}"


def _absent(scores: Scores) -> str:
    return f"No case of {', '.join(scores.absent)}." if scores.absent else ""


def _why(scores: Scores, name: str) -> str:
    return "no case" if name in scores.absent else "undefined"


def _color(i: int) -> str:
    return PALETTE[i % len(PALETTE)]


def _turned(classes: Sequence[str]) -> int:
    return 45 if max(map(len, classes)) > 6 else 0


def _unit_square(axes: Axes) -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    axes.set_aspect("equal")
    axes.grid(True, color=LINE)
    axes.tick_params(length=0)


def _patch(color: str, label: str) -> Any:
    from matplotlib.patches import Patch

    return Patch(color=color, label=label)
