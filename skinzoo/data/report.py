"""The dataset report: one self-contained HTML page with figures, tables and examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skinzoo import __version__
from skinzoo.data import report_figures as figures
from skinzoo.data.scan import Scan, scan_images
from skinzoo.data.table import PARTS, class_counts, fingerprint, lesion_count
from skinzoo.files import write_text
from skinzoo.pages import Grid, Plot, Thumbnail, render_page, thumbnail
from skinzoo.specs import DatasetSpec
from skinzoo.vocabulary import UNKNOWN

if TYPE_CHECKING:
    from skinzoo.data.splits import Split

EXAMPLES = 6
"""Example images of each class."""

_TEMPLATE = "dataset_report.html.j2"


def write_report(
    table: pd.DataFrame,
    to: Path,
    *,
    split: Split | None = None,
    spec: DatasetSpec | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write the report of a dataset as one HTML file that needs nothing beside it.

    Args:
        table: Canonical table.
        to: The file.
        split: A split of the table, to show its parts.
        spec: The dataset, for its source, licence and published counts.
        progress: Called with the numbers of images looked at and of all images.

    Returns:
        `to`.

    Raises:
        DataError: The split does not fit the table.
    """
    write_text(to, render_report(table, split=split, spec=spec, progress=progress))
    return to


def render_report(
    table: pd.DataFrame,
    *,
    split: Split | None = None,
    spec: DatasetSpec | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Return the report of a dataset as HTML; arguments and errors as `write_report`."""
    notes = split.check(table) if split is not None else []
    scan = scan_images(table["image_path"].tolist(), progress=progress)
    return render_page(
        "skinzoo.data",
        _TEMPLATE,
        title=table.attrs["dataset"],
        spec=spec,
        tiles=_tiles(table),
        notes=[*table.attrs["notes"], *notes, *_left_out(table), *_unreadable(scan)],
        sections=_sections(table, scan, spec, split),
        examples=_examples(table, scan),
        split=split,
        fingerprint=fingerprint(table),
        version=__version__,
    )


def _sections(
    table: pd.DataFrame, scan: Scan, spec: DatasetSpec | None, split: Split | None
) -> list[dict[str, Any]]:
    sizes = _sizes(scan)
    sections = [
        _section(
            "Classes",
            [figures.class_plot(class_counts(table)), figures.images_of_lesion_plot(table)],
            [_class_grid(table, spec)],
        ),
        _section(
            "Patients and sites",
            [
                figures.age_plot(table),
                figures.missing_plot(table),
                figures.sex_plot(table),
                figures.localization_plot(table),
            ],
            [_missing_grid(table)],
        ),
        _section(
            "Classes by age, sex and localization",
            [
                figures.class_by_localization_plot(table),
                figures.class_by_age_plot(table),
                figures.class_by_sex_plot(table),
            ],
            [_age_grid(table)],
        ),
        _section("Image files", [figures.image_size_plot(sizes)], [_file_grid(table, scan, sizes)]),
    ]
    if split is not None:
        counts = _split_counts(table, split)
        sections.append(_section("Split", [figures.split_plot(counts)], [_split_grid(counts)]))
    return sections


def _section(title: str, plots: Sequence[Plot | None], grids: Sequence[Grid]) -> dict[str, Any]:
    return {
        "title": title,
        "id": title.lower().replace(" ", "-").replace(",", ""),
        "plots": [plot for plot in plots if plot is not None],
        "grids": grids,
    }


def _tiles(table: pd.DataFrame) -> list[tuple[str, str]]:
    lesions = lesion_count(table)
    ages = table["age"].dropna()
    return [
        ("images", f"{len(table):,}"),
        ("lesions", f"{lesions:,}" if lesions else "no ids"),
        ("classes", f"{len(table.attrs['classes'])}"),
        ("median age", f"{ages.median():g}" if len(ages) else "unknown"),
        ("with age, sex and localization", f"{_percent(_complete(table), len(table))}"),
    ]


def _complete(table: pd.DataFrame) -> int:
    known = table["age"].notna() & (table["sex"] != UNKNOWN) & (table["localization"] != UNKNOWN)
    return int(known.sum())


def _left_out(table: pd.DataFrame) -> list[str]:
    entries = table.attrs["left_out"]
    if not entries:
        return []
    if len(entries) == 1:
        return [f"1 image or row is left out: {entries[0]['reason']}"]
    return [f"{len(entries):,} images or rows are left out; the first: {entries[0]['reason']}"]


def _unreadable(scan: Scan) -> list[str]:
    bad = int((~scan.usable).sum())
    files = "1 image file" if bad == 1 else f"{bad:,} image files"
    return [f"{files} cannot be decoded; see: skinzoo data audit"] if bad else []


def _class_grid(table: pd.DataFrame, spec: DatasetSpec | None) -> Grid:
    counts = class_counts(table)
    lesions = table[table["lesion_id"] != ""].groupby("label")["lesion_id"].nunique()
    histology = (table["confirmation"] == "histo").groupby(table["label"].to_numpy()).mean()
    confirmed = bool((table["confirmation"] != "").any())
    published = spec.facts.class_counts if spec is not None and spec.classes == table.attrs["classes"] else {}
    columns = ["class", "images", "share"]
    columns += ["lesions"] * bool(len(lesions)) + ["histology"] * confirmed + ["published"] * bool(published)
    rows = []
    for name, number in counts.items():
        row = [name, f"{number:,}", _percent(number, len(table))]
        if len(lesions):
            row.append(f"{int(lesions.get(name, 0)):,}")
        if confirmed:
            row.append(f"{100 * histology[name]:.0f}%" if name in histology else "")
        if published:
            row.append(f"{published[name]:,}" if name in published else "")
        rows.append(row)
    return Grid("Images, lesions and confirmation by histology in each class", columns, rows)


def _missing_grid(table: pd.DataFrame) -> Grid:
    unknown = (
        ("age", int(table["age"].isna().sum())),
        ("sex", int((table["sex"] == UNKNOWN).sum())),
        ("localization", int((table["localization"] == UNKNOWN).sum())),
        ("any of the three", len(table) - _complete(table)),
    )
    return Grid(
        "Missing values",
        ["property", "images", "share"],
        [[name, f"{number:,}", _percent(number, len(table))] for name, number in unknown],
    )


def _age_grid(table: pd.DataFrame) -> Grid:
    rows = []
    for name in table.attrs["classes"]:
        cases = table[table["label"] == name]
        ages = cases["age"].dropna()
        sexes = cases["sex"].value_counts()
        known = int(sexes.get("female", 0) + sexes.get("male", 0))
        site = cases.loc[cases["localization"] != UNKNOWN, "localization"].value_counts()
        rows.append(
            [
                name,
                f"{ages.median():g}" if len(ages) else "",
                f"{ages.quantile(0.25):g} to {ages.quantile(0.75):g}" if len(ages) else "",
                _percent(int(sexes.get("female", 0)), known),
                str(site.index[0]) if len(site) else "",
            ]
        )
    return Grid(
        "Age, sex and localization of each class",
        ["class", "median age", "middle half", "female", "most frequent site"],
        rows,
    )


def _sizes(scan: Scan) -> dict[str, int]:
    usable = scan.usable
    pairs, numbers = np.unique(
        np.stack([scan.widths[usable], scan.heights[usable]], axis=1), axis=0, return_counts=True
    )
    order = np.argsort(-numbers, kind="stable")
    return {f"{pairs[i][0]}x{pairs[i][1]}": int(numbers[i]) for i in order}


def _file_grid(table: pd.DataFrame, scan: Scan, sizes: Mapping[str, int]) -> Grid:
    most = next(iter(sizes), "none")
    modes = pd.Series(scan.modes[scan.usable]).value_counts()
    kinds = table["image_path"].map(lambda path: Path(path).suffix.lower()).value_counts()
    return Grid(
        "Image files",
        ["property", "value"],
        [
            ["most frequent size", f"{most} pixels ({sizes.get(most, 0):,} images)"],
            ["different sizes", f"{len(sizes):,}"],
            ["colours", ", ".join(f"{mode} {number:,}" for mode, number in modes.items())],
            ["file types", ", ".join(f"{kind} {number:,}" for kind, number in kinds.items())],
            ["EXIF orientation other than 1", f"{int((scan.orientations != 1).sum()):,}"],
            ["cannot be decoded", f"{int((~scan.usable).sum()):,}"],
        ],
    )


def _split_counts(table: pd.DataFrame, split: Split) -> pd.DataFrame:
    counts = pd.crosstab(split.part_of(table), table["label"])
    order = [part for part in (*PARTS, *counts.index) if part in counts.index]
    return counts.reindex(
        index=list(dict.fromkeys(order)), columns=list(table.attrs["classes"]), fill_value=0
    )


def _split_grid(counts: pd.DataFrame) -> Grid:
    total = int(counts.to_numpy().sum())
    return Grid(
        "Images of each class in each part",
        ["part", "images", "share", *counts.columns],
        [
            [
                str(part),
                f"{int(row.sum()):,}",
                _percent(int(row.sum()), total),
                *(f"{number:,}" for number in row),
            ]
            for part, row in counts.iterrows()
        ],
    )


def _examples(table: pd.DataFrame, scan: Scan) -> list[tuple[str, list[Thumbnail]]]:
    found = []
    for name in table.attrs["classes"]:
        rows = np.flatnonzero((table["label"] == name).to_numpy() & scan.usable)
        lesions = table["lesion_id"].to_numpy()[rows]
        _, first = np.unique(
            np.where(lesions == "", table["image_id"].to_numpy()[rows], lesions), return_index=True
        )
        rows = rows[np.sort(first)]
        chosen = (
            rows[np.linspace(0, len(rows) - 1, min(EXAMPLES, len(rows))).astype(int)] if len(rows) else []
        )
        found.append((name, [_example(table.iloc[int(row)]) for row in chosen]))
    return found


def _example(case: pd.Series) -> Thumbnail:
    known = [
        "" if np.isnan(case["age"]) else f"{case['age']:g} years",
        "" if case["sex"] == UNKNOWN else case["sex"],
        "" if case["localization"] == UNKNOWN else case["localization"],
    ]
    caption = ", ".join(filter(None, known)) or "nothing known"
    return thumbnail(
        Path(case["image_path"]), f"Image {case['image_id']} of class {case['label']}: {caption}", caption
    )


def _percent(number: int, total: int) -> str:
    return f"{100 * number / total:.1f}%" if total else ""
