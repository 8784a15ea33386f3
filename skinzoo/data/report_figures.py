"""Figures of the dataset report: SVG drawn with matplotlib, each with a text that says what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skinzoo.pages.drawing import BAR, INK, LINE, MUTED, PALETTE, Plot, plot, readable
from skinzoo.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def class_plot(counts: Mapping[str, int]) -> Plot:
    """Return images of each class."""
    total = sum(counts.values())
    return _bars(
        "Images of each class",
        counts,
        note=_imbalance(counts),
        annotate=lambda number: f"{number:,}  {_percent(number, total)}",
    )


def sex_plot(table: pd.DataFrame) -> Plot:
    """Return images by sex."""
    return _bars("Sex", _ordered(table["sex"]))


def localization_plot(table: pd.DataFrame) -> Plot:
    """Return images by localization."""
    return _bars("Localization", _ordered(table["localization"]))


def age_plot(table: pd.DataFrame) -> Plot:
    """Return a histogram of ages."""
    ages = table["age"].dropna().to_numpy()
    edges = np.arange(0, max(90, (ages.max() if len(ages) else 0) + 5) + 1, 5)
    heights, _ = np.histogram(ages, bins=edges)

    def draw(axes: Axes) -> None:
        axes.bar(edges[:-1], heights, width=4.6, align="edge", color=BAR)
        axes.set_xlabel("Age in years")
        axes.set_ylabel("Images")
        axes.yaxis.grid(True, color=LINE)
        axes.tick_params(length=0)

    text = (
        f"Median {np.median(ages):g} years, from {ages.min():g} to {ages.max():g}; "
        f"{int(table['age'].isna().sum()):,} unknown."
        if len(ages)
        else "No image has an age."
    )
    return plot("Age", draw, alt=f"Histogram of age in steps of 5 years. {text}", note=text, height=3.2)


def class_by_age_plot(table: pd.DataFrame) -> Plot | None:
    """Return the spread of ages in each class; None where no image has an age."""
    classes = list(table.attrs["classes"])
    ages = [table.loc[table["label"] == name, "age"].dropna().to_numpy() for name in classes]
    known = [(name, values) for name, values in zip(classes, ages, strict=True) if len(values)]
    if not known:
        return None

    def draw(axes: Axes) -> None:
        axes.boxplot(
            [values for _, values in known],
            orientation="horizontal",
            tick_labels=[name for name, _ in known],
            widths=0.6,
            patch_artist=True,
            boxprops={"facecolor": "#cfe3ef", "edgecolor": BAR},
            medianprops={"color": PALETTE[4], "linewidth": 2},
            whiskerprops={"color": BAR},
            capprops={"color": BAR},
            flierprops={"marker": ".", "markersize": 3, "markeredgecolor": MUTED},
        )
        axes.invert_yaxis()
        axes.set_xlabel("Age in years")
        axes.xaxis.grid(True, color=LINE)
        axes.tick_params(length=0)

    text = ", ".join(f"{name} {np.median(values):g}" for name, values in known)
    return plot(
        "Class by age",
        draw,
        alt=f"Box plots of age in each class. Medians in years: {text}.",
        note="Boxes span the middle half of the ages; the line is the median.",
        height=_rows(len(known)),
    )


def class_by_sex_plot(table: pd.DataFrame) -> Plot:
    """Return the shares of the sexes in each class."""
    return _shares("Class by sex", pd.crosstab(table["label"], table["sex"]), table.attrs["classes"])


def class_by_localization_plot(table: pd.DataFrame) -> Plot:
    """Return how the images of each localization are divided among the classes."""
    sites = list(_ordered(table["localization"]))
    counts = pd.crosstab(table["localization"], table["label"]).reindex(
        index=sites, columns=list(table.attrs["classes"]), fill_value=0
    )
    return _heat(
        "Class by localization",
        counts,
        note="Images; a darker cell is a larger share of its row.",
    )


def missing_plot(table: pd.DataFrame) -> Plot:
    """Return the share of images without age, sex and localization in each class."""
    unknown = pd.DataFrame(
        {
            "age": table["age"].isna(),
            "sex": table["sex"] == UNKNOWN,
            "localization": table["localization"] == UNKNOWN,
        }
    )
    shares = 100 * unknown.groupby(table["label"].to_numpy()).mean().reindex(list(table.attrs["classes"]))
    totals = unknown.sum()
    text = ", ".join(f"{name} {int(totals[name]):,}" for name in map(str, totals.index))

    def draw(axes: Axes) -> None:
        positions = np.arange(len(shares))
        for i, name in enumerate(map(str, totals.index)):
            axes.barh(
                positions + (i - 1) * 0.26, shares[name].fillna(0), height=0.24, color=PALETTE[i], label=name
            )
        axes.set_yticks(positions, shares.index)
        axes.invert_yaxis()
        axes.set_xlabel("Percent of the class's images")
        axes.xaxis.grid(True, color=LINE)
        axes.tick_params(length=0)
        axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=3)

    return plot(
        "Missing values",
        draw,
        alt=f"Share of images without age, sex or localization in each class. In all: {text}.",
        note=f"Unknown in all: {text}.",
        height=_rows(len(shares), 0.5),
    )


def images_of_lesion_plot(table: pd.DataFrame) -> Plot | None:
    """Return how many lesions have one, two ... images; None where no image has a lesion id."""
    lesions = table.loc[table["lesion_id"] != "", "lesion_id"].value_counts()
    if lesions.empty:
        return None
    counts = lesions.value_counts().sort_index()
    several = int((lesions > 1).sum())
    return _bars(
        "Images of one lesion",
        {f"{number}": int(count) for number, count in counts.items()},
        note=f"{several:,} of {len(lesions):,} lesions have several images: "
        "these leak where a split is made by image.",
        label="Images",
        value="lesions",
    )


def image_size_plot(sizes: Mapping[str, int]) -> Plot | None:
    """Return the most frequent image sizes; None where all images have one."""
    if len(sizes) < 2:
        return None
    shown = dict(list(sizes.items())[:12])
    rest = sum(sizes.values()) - sum(shown.values())
    if rest:
        shown["other sizes"] = rest
    return _bars("Image sizes in pixels", shown, note=f"{len(sizes):,} different sizes.")


def split_plot(counts: pd.DataFrame) -> Plot:
    """Return the share of each class in each part.

    Args:
        counts: Images; parts as rows, classes as columns.
    """
    return _shares("Classes in each part", counts, list(counts.index))


def _bars(
    title: str,
    counts: Mapping[str, int],
    *,
    note: str = "",
    annotate: Callable[[int], str] = "{:,}".format,
    label: str = "",
    value: str = "images",
) -> Plot:
    def draw(axes: Axes) -> None:
        names, numbers = list(counts), list(counts.values())
        axes.barh(names, numbers, height=0.68, color=[LINE if name == UNKNOWN else BAR for name in names])
        axes.invert_yaxis()
        for row, number in enumerate(numbers):
            axes.annotate(
                annotate(number),
                (number, row),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=9.5,
            )
        axes.set_xlim(0, max([*numbers, 1]) * 1.24)
        axes.set_ylabel(label)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(length=0)

    text = ", ".join(f"{name} {number:,}" for name, number in counts.items())
    return plot(title, draw, alt=f"{title}, number of {value}: {text}.", note=note, height=_rows(len(counts)))


def _shares(title: str, counts: pd.DataFrame, rows: Sequence[str]) -> Plot:
    counts = counts.reindex(index=list(rows), fill_value=0)
    shares = counts.div(counts.sum(axis=1).replace(0, 1), axis=0) * 100

    def draw(axes: Axes) -> None:
        left = np.zeros(len(shares))
        for i, column in enumerate(shares):
            color = "#c3c8cf" if column == UNKNOWN else PALETTE[i % len(PALETTE)]
            values = shares[column].to_numpy()
            axes.barh(shares.index, values, left=left, height=0.68, color=color, label=column)
            for row, share in enumerate(values):
                if share >= 9:
                    axes.text(
                        left[row] + share / 2,
                        row,
                        f"{share:.0f}",
                        ha="center",
                        va="center",
                        fontsize=9.5,
                        color=readable(color),
                    )
            left += values
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel("Percent")
        axes.tick_params(length=0)
        axes.legend(
            frameon=False,
            loc="lower center",
            bbox_to_anchor=(0.45, 1.0),
            ncols=4,
            handlelength=1,
            columnspacing=1,
        )

    text = "; ".join(
        f"{row}: " + ", ".join(f"{column} {share:.0f}" for column, share in shares.loc[row].items())
        for row in shares.index
    )
    legend_rows = -(-len(shares.columns) // 4)
    return plot(
        title, draw, alt=f"{title}, in percent. {text}.", height=_rows(len(shares)) + 0.25 * legend_rows
    )


def _heat(title: str, counts: pd.DataFrame, *, note: str) -> Plot:
    shares = counts.div(counts.sum(axis=1).replace(0, 1), axis=0).to_numpy()

    def draw(axes: Axes) -> None:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(counts.shape[1]), counts.columns)
        axes.set_yticks(range(counts.shape[0]), counts.index)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        for row, column in np.ndindex(*shares.shape):
            axes.text(
                column,
                row,
                f"{int(counts.to_numpy()[row, column]):,}",
                ha="center",
                va="center",
                fontsize=9.5,
                color="white" if shares[row, column] > 0.55 else INK,
            )

    text = "; ".join(
        f"{row}: " + ", ".join(f"{column} {number:,}" for column, number in counts.loc[row].items() if number)
        for row in counts.index
    )
    return plot(
        title, draw, alt=f"{title}, number of images. {text}.", note=note, height=_rows(len(counts), 0.33)
    )


def _rows(number: int, each: float = 0.34) -> float:
    return max(1.6, each * number + 0.7)


def _ordered(values: pd.Series) -> dict[str, int]:
    """Return counts, the most frequent first and unknown last."""
    counts = {str(name): int(number) for name, number in values.value_counts().items()}
    unknown = counts.pop(UNKNOWN, None)
    return counts if unknown is None else counts | {UNKNOWN: unknown}


def _imbalance(counts: Mapping[str, int]) -> str:
    present = {name: number for name, number in counts.items() if number}
    if len(present) < 2:
        return ""
    most, least = max(present, key=present.__getitem__), min(present, key=present.__getitem__)
    return f"{most} has {present[most] / present[least]:.0f} times the images of {least}."


def _percent(number: int, total: int) -> str:
    return f"({100 * number / total:.1f}%)" if total else ""
