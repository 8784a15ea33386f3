"""Sections of the report on images unlike those of the training part: corrupted ones, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sklearn.metrics import roc_curve

from skinzoo.evaluation.corruptions import CORRUPTIONS, STRENGTHS
from skinzoo.evaluation.figures import Picture, make_picture
from skinzoo.evaluation.intervals import Interval
from skinzoo.evaluation.ood import CONFIDENCE, DEFINITIONS, ENERGY, ISOLATION, MAHALANOBIS, Separation
from skinzoo.evaluation.section import Section
from skinzoo.pages import Grid
from skinzoo.pages.drawing import INK, LINE, MUTED, PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from skinzoo.evaluation.ood_of_run import OutOfDistribution
    from skinzoo.evaluation.robustness import Robustness

TITLES = {
    ISOLATION: "Isolation forest",
    MAHALANOBIS: "Mahalanobis",
    ENERGY: "Energy",
    CONFIDENCE: "Confidence",
}


def robustness_section(robustness: Robustness) -> Section:
    """Return scores on corrupted images as a figure and tables."""
    rows = []
    for name in robustness.corruptions:
        cells = [_number(cell.balanced_accuracy, cell.interval) for cell in robustness.of(name)]
        mean = robustness.mean(name)
        rows.append([name, f"{mean:.3f}", _share(robustness.relative(mean)), *cells])
    mean = robustness.mean()
    rows.append(["all", f"{mean:.3f}", _share(robustness.relative(mean)), *[""] * len(STRENGTHS)])
    worst = max(robustness.cells, key=lambda cell: cell.lost)
    text = (
        f"Balanced accuracy is {robustness.clean:.3f} on the images as they are, and {mean:.3f} in the mean "
        f"over all corruptions. The most is lost by {worst.corruption} at strength {worst.strength}: "
        f"{_number(worst.lost, worst.lost_interval)}. Corruptions are applied to the decoded square that the "
        f"model takes, not to the files; chance follows from seed {robustness.seed} and the image id."
    )
    return Section(
        "Robustness",
        text=text,
        pictures=(robustness_picture(robustness),),
        grids=(
            Grid(
                "Balanced accuracy on corrupted images",
                ["corruption", "mean", "of clean", *(f"strength {one}" for one in STRENGTHS)],
                rows,
                "95% intervals in brackets.",
            ),
            Grid(
                "Corruptions",
                ["corruption", "what it does, strength 1 to 5"],
                [[name, CORRUPTIONS[name].text] for name in robustness.corruptions],
            ),
        ),
    )


def robustness_picture(robustness: Robustness) -> Picture:
    """Return balanced accuracy by strength, one line a corruption."""

    def draw(axes: Axes) -> None:
        axes.axhline(robustness.clean, color=MUTED, linewidth=1, linestyle=":", label="as they are")
        for number, name in enumerate(robustness.corruptions):
            cells = robustness.of(name)
            # Beside each other, so that one interval does not hide another.
            places = [cell.strength + 0.07 * (number - 1.5) for cell in cells]
            color = PALETTE[number % len(PALETTE)]
            for place, cell in zip(places, cells, strict=True):
                if cell.interval is not None:
                    axes.plot(
                        [place, place], [cell.interval.low, cell.interval.high], color=color, linewidth=1
                    )
            axes.plot(
                places, [c.balanced_accuracy for c in cells], "o-", markersize=4, color=color, label=name
            )
        axes.set_xticks(STRENGTHS)
        axes.set_xlabel("Strength")
        axes.set_ylabel("Balanced accuracy")
        axes.set_ylim(0, 1)
        axes.yaxis.grid(True, color=LINE)
        axes.tick_params(length=0)
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, fontsize=8.5)

    words = "; ".join(
        f"{name}: " + ", ".join(f"{cell.balanced_accuracy:.3f}" for cell in robustness.of(name))
        for name in robustness.corruptions
    )
    return make_picture(
        "robustness",
        "Balanced accuracy on corrupted images",
        draw,
        alt=f"Balanced accuracy {robustness.clean:.3f} on clean images; by strength 1 to 5: {words}.",
        note="Lines at the points are 95% intervals.",
        height=3.4,
    )


def ood_section(ood: OutOfDistribution) -> Section:
    """Return how well images of another kind are told apart, as a figure and tables."""
    normal, other = ood.cases
    text = (
        f"{normal:,} images of the {ood.part} part against {other:,} of another kind ({ood.other}). All "
        f"scores are fitted on the {ood.fitted_on:,} images of the training part ({ood.features:,} pooled "
        "backbone features) and have seen no image of the other kind."
    )
    if ood.without_forest:
        text += f" Too few training images for a forest: {', '.join(ood.without_forest)}."
    return Section(
        "Out of distribution",
        text=text,
        pictures=(ood_picture(ood),),
        grids=(
            Grid(
                "How well another kind is told apart",
                ["score", "AUROC", "FPR at 95% TPR"],
                [
                    [
                        TITLES[one.name],
                        _number(one.auroc, one.auroc_interval),
                        _number(one.fpr95, one.fpr95_interval),
                    ]
                    for one in ood.separations
                ],
                "95% intervals in brackets. FPR: share of the other images that pass where 95% of the normal "
                "ones do; 0.5 and 0.95 are what chance gives.",
            ),
            Grid(
                "Scores; larger is more normal",
                ["score", "definition"],
                [[TITLES[one.name], DEFINITIONS[one.name]] for one in ood.separations],
            ),
        ),
    )


def ood_picture(ood: OutOfDistribution) -> Picture:
    """Return the ROC curves of the scores, normal images being the positive ones."""
    normal = ood.table["out"].to_numpy() == 0

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=LINE, linewidth=1, zorder=1)
        axes.axhline(0.95, color=MUTED, linewidth=1, linestyle=":")
        for number, one in enumerate(ood.separations):
            x, y, _ = roc_curve(normal, ood.table[one.name].to_numpy())
            axes.plot(
                x,
                y,
                color=INK if one.name == CONFIDENCE else PALETTE[number % len(PALETTE)],
                linestyle="--" if one.name == CONFIDENCE else "-",
                linewidth=1.6,
                label=f"{TITLES[one.name]} {one.auroc:.3f}",
            )
        axes.set_xlabel("Other images that pass")
        axes.set_ylabel("Normal images that pass")
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.02)
        axes.grid(True, color=LINE)
        axes.tick_params(length=0)
        axes.legend(frameon=False, loc="lower right", fontsize=8.5, title="Score, area", title_fontsize=8.5)

    return make_picture(
        "out_of_distribution",
        "Normal images against images of another kind",
        draw,
        alt="ROC curves of scores of normality. "
        + "; ".join(f"{TITLES[one.name]}: {_words(one)}" for one in ood.separations)
        + ".",
        note="Dotted: 95% of the normal images pass.",
        height=4.2,
    )


def _words(one: Separation) -> str:
    return f"area {one.auroc:.3f}, {one.fpr95:.0%} of the others pass where 95% of the normal ones do"


def _number(value: float, interval: Interval | None) -> str:
    spread = f" [{interval.low:.3f}, {interval.high:.3f}]" if interval is not None else ""
    return f"{value:.3f}{spread}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
