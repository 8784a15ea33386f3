"""A comparison as tables and as one figure a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skinzoo.evaluation.comparison.beside import Costs
from skinzoo.evaluation.comparison.ranking import Comparison, Group, Row, title_of
from skinzoo.evaluation.report import with_interval
from skinzoo.pages import Grid, Plot
from skinzoo.pages.drawing import BAR, INK, LINE, plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ALSO = ("balanced_accuracy", "accuracy", "macro_f1", "roc_auc_macro")
"""Metrics that stand beside the one that sorts."""
_UNKNOWN = "-"
_SETTINGS = (1, 2, 4)
"""Columns of the costs that a terminal has no room for."""


def ranking_grid(comparison: Comparison, group: Group, *, brief: bool = False) -> Grid:
    """Return the runs of a split in their order.

    Args:
        comparison: The comparison.
        group: The split.
        brief: Whether to leave out the other metrics, for a terminal.
    """
    metric = comparison.metric
    others = [] if brief else [name for name in ALSO if name != metric]
    level = f"{group.rows[0].entry.level:.0%}"
    columns = [
        *("run", "#", f"{comparison.title} [{level}]", f"minus the best [{level}]"),
        *("protocol", "paper"),
        *(title_of(name) for name in others),
    ]
    rows = [
        [
            row.entry.name,
            _UNKNOWN if row.rank is None else str(row.rank),
            with_interval(row.value(metric), row.interval(metric)),
            _difference(row),
            protocol_text(row),
            row.published[0].short(str(row.entry.provenance["dataset"])) if row.published else _UNKNOWN,
            *(with_interval(row.value(name), row.interval(name)) for name in others),
        ]
        for row in group.rows
    ]
    return Grid("Ranking", columns, rows, _note(comparison, group))


def cost_grid(group: Group, *, brief: bool = False) -> Grid:
    """Return what the runs of a split are and cost, in the same order; nothing that is known of none.

    Args:
        group: The split.
        brief: Whether to leave out variant, recipe and seed, for a terminal.
    """
    batches = {row.costs.batch for row in group.rows if row.costs.batch}
    places = dict.fromkeys(row.costs.device for row in group.rows if row.costs.device)
    columns = [
        *("run", "variant", "recipe", "input", "seed", "parameters", "GFLOPs", "latency (ms)"),
        f"images/s, batch {min(batches)}" if len(batches) == 1 else "images/s",
    ]
    rows = []
    for row in group.rows:
        costs, size = row.costs, row.entry.card.get("variant", {}).get("image_size")
        rows.append(
            [
                row.entry.name,
                str(row.entry.provenance["variant"]),
                str(row.entry.provenance["recipe"]),
                f"{size} px" if size else _UNKNOWN,
                _UNKNOWN if (seed := row.entry.card.get("seed")) is None else str(seed),
                f"{costs.parameters:,}" if costs.parameters is not None else _UNKNOWN,
                f"{costs.flops / 1e9:.3g}" if costs.flops is not None else _UNKNOWN,
                f"{1000 * costs.latency:.3g}" if costs.latency is not None else _UNKNOWN,
                _throughput(costs, several=len(batches) > 1),
            ]
        )
    note = f"Measured on {'; '.join(places)}." if places else ""
    shown = [
        i
        for i in range(len(columns))
        if any(row[i] != _UNKNOWN for row in rows) and not (brief and i in _SETTINGS)
    ]
    return Grid(
        "Networks and costs", [columns[i] for i in shown], [[row[i] for i in shown] for row in rows], note
    )


def _throughput(costs: Costs, *, several: bool) -> str:
    if costs.throughput is None:
        return _UNKNOWN
    # Profiles of different batches may stand in one table.
    return f"{costs.throughput:.3g}" + (f" (batch {costs.batch})" if several else "")


def papers_grid(comparison: Comparison, group: Group) -> Grid | None:
    """Return every published number for the variants of a split, None where there is none."""
    seen = {(row.entry.provenance["variant"], paper): None for row in group.rows for paper in row.published}
    if not seen:
        return None
    rows = [
        [
            variant,
            " ".join(filter(None, [paper.source, paper.run])),
            f"{paper.value:.4f}",
            paper.dataset,
            ", ".join(filter(None, [paper.protocol, paper.warning.partition(":")[0]])),
            f"{paper.cases:,}" if paper.cases else _UNKNOWN,
            paper.notes,
        ]
        for variant, paper in seen
    ]
    columns = ["variant", "source", comparison.title, "dataset", "protocol", "cases", "notes"]
    warnings = dict.fromkeys(f"{paper.protocol}, {paper.warning}" for _, paper in seen if paper.warning)
    note = " ".join(f"{text}." for text in ("As printed, not measured here", *warnings))
    return Grid("Published numbers", columns, rows, note)


def protocol_text(row: Row) -> str:
    """Return a run's protocol with what makes its scores too high."""
    marks = ", ".join(mark.upper() for mark in row.entry.marks)
    return row.entry.protocol + (f" ({marks})" if marks else "")


def picture(comparison: Comparison, group: Group) -> Plot:
    """Return the runs of a split as points with their intervals, the best on top."""
    metric = comparison.metric
    points = [(row, value) for row in group.rows if (value := row.value(metric)) is not None]

    def draw(axes: Axes) -> None:
        for place, (row, value) in enumerate(reversed(points)):
            interval = row.interval(metric)
            if interval is not None:
                axes.plot([interval.low, interval.high], [place, place], color=BAR, linewidth=2)
            axes.plot([value], [place], "o", color=BAR if row.rank == 1 else "white", markeredgecolor=BAR)
            # Names stand above their bars: beside them they would leave no room for the bars.
            axes.text(0.0, place + 0.18, row.entry.name, transform=axes.get_yaxis_transform(), va="bottom")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_ylim(-0.4, len(points) - 0.3)
        axes.grid(axis="x", color=LINE)
        axes.set_xlabel(comparison.title, color=INK)

    said = "; ".join(
        f"{row.entry.name} {with_interval(value, row.interval(metric))}" for row, value in points
    )
    better = "higher" if comparison.higher_is_better else "lower"
    return plot(
        f"{comparison.title} by run",
        draw,
        alt=f"{comparison.title} of each run with its interval: {said}",
        note=f"Bars are intervals of each run alone; {better} is better. Whether two runs differ is "
        "said by the differences in the table, which are paired.",
        height=0.8 + 0.42 * len(points),
        wide=True,
    )


def _difference(row: Row) -> str:
    if row.rank is None:
        return _UNKNOWN
    if row.difference is None:
        return "not known" if row.missing else "best"
    difference = row.difference
    spread = difference.interval
    text = f"{difference.value:+.3f}"
    if spread is not None:
        text += f" [{spread.low:+.3f}, {spread.high:+.3f}]"
    return text + (" *" if difference.clear else "")


def _note(comparison: Comparison, group: Group) -> str:
    entry = group.rows[0].entry
    note = f"Intervals by bootstrap over {entry.unit}s."
    if any(row.difference for row in group.rows):
        note += (
            f" Differences are paired, on the same images ({comparison.draws:,} draws); * marks those whose "
            "interval leaves 0 out, not corrected for the number of runs."
        )
    return note
