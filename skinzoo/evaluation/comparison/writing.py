"""A comparison as a file: Markdown, CSV, HTML or JSON, by its suffix."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from skinzoo import __version__
from skinzoo.errors import UsageError
from skinzoo.evaluation.comparison.ranking import Comparison, Row
from skinzoo.evaluation.comparison.tables import cost_grid, papers_grid, picture, ranking_grid
from skinzoo.files import write_json, write_text
from skinzoo.pages import render_page
from skinzoo.pages.markdown import escaped, markdown_table

_ROUNDED = 6


def check_suffix(path: Path) -> None:
    """Check that a comparison can be written to a file.

    Raises:
        UsageError: Its suffix is none of those known.
    """
    if path.suffix.lower() not in WRITERS:
        raise UsageError(f"--to must end in one of {', '.join(WRITERS)}. Received: '{path}'.")


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write a comparison in the form that the file's suffix names.

    Raises:
        UsageError: Its suffix is none of those known.
    """
    check_suffix(path)
    WRITERS[path.suffix.lower()](comparison, path)


def render_markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown."""
    text = [f"# {escaped(_heading(comparison))}", ""]
    text += [f"- {escaped(note)}" for note in comparison.notes()]
    for group in comparison.groups:
        text += ["", f"## {escaped(group.title)}", ""]
        if group.marks:
            text += [f"> **Warning.** {escaped(', '.join(group.marks))}: these scores are too high.", ""]
        grids = [ranking_grid(comparison, group), cost_grid(group), papers_grid(comparison, group)]
        for grid in filter(None, grids):
            note = f" {escaped(grid.note)}" if grid.note else ""
            text += [f"**{escaped(grid.title)}.**{note}", "", *markdown_table(grid), ""]
    if comparison.left:
        text += ["## Not listed", "", *(f"- {escaped(str(one))}" for one in comparison.left), ""]
    text.append(f"Made by skinzoo {__version__}. For research and education, not for diagnosis.")
    return "\n".join(text) + "\n"


def render_html(comparison: Comparison) -> str:
    """Return a comparison as one HTML page that needs nothing beside it."""
    rows = [row for group in comparison.groups for row in group.rows]
    notes = comparison.notes()
    grave = len(comparison.groups) > 1 or any(group.marks for group in comparison.groups)
    warnings = notes[: (len(comparison.groups) > 1) + sum(bool(g.marks) for g in comparison.groups)]
    return render_page(
        "skinzoo.evaluation",
        "comparison.html.j2",
        title=_heading(comparison),
        runs=len(rows),
        banner=warnings if grave else [],
        notes=[note for note in notes if note not in warnings],
        groups=[
            {
                "title": group.title,
                "id": f"split-{number}",
                "marks": group.marks,
                "plots": [picture(comparison, group)] if len(group.rows) > 1 else [],
                "grids": [
                    grid
                    for grid in (
                        ranking_grid(comparison, group),
                        cost_grid(group),
                        papers_grid(comparison, group),
                    )
                    if grid is not None
                ],
            }
            for number, group in enumerate(comparison.groups, start=1)
        ],
        left=[str(one) for one in comparison.left],
        draws=comparison.draws,
        version=__version__,
    )


def render_csv(comparison: Comparison) -> str:
    """Return a comparison as CSV: one row a run, every overall metric with its interval."""
    records = [_record(comparison, row) for group in comparison.groups for row in group.rows]
    columns = list(dict.fromkeys(name for record in records for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def _heading(comparison: Comparison) -> str:
    return f"Runs by {comparison.title[0].lower()}{comparison.title[1:]}"


def _record(comparison: Comparison, row: Row) -> dict[str, Any]:
    entry, stated = row.entry, row.entry.provenance
    difference, paper = row.difference, row.published[0] if row.published else None
    spread = difference.interval if difference else None
    record: dict[str, Any] = {
        "run": entry.name,
        "rank": row.rank,
        "sorted_by": comparison.metric,
        **{
            name: stated[name]
            for name in ("variant", "recipe", "recipe_hash", "dataset", "protocol", "split_hash", "part")
        },
        "too_high_because": "; ".join(entry.marks),
        "images": entry.cases,
        "minus_best": difference.value if difference else None,
        "minus_best_low": spread.low if spread else None,
        "minus_best_high": spread.high if spread else None,
        "minus_best_p": difference.p if difference else None,
    }
    for name in (comparison.metric, *(name for name in entry.values if "[" not in name)):
        interval = row.interval(name)
        record[name] = row.value(name)
        record[f"{name}_low"] = interval.low if interval else None
        record[f"{name}_high"] = interval.high if interval else None
    record |= {
        "paper": paper.value if paper else None,
        "paper_source": " ".join(filter(None, [paper.source, paper.run])) if paper else None,
        "paper_dataset": paper.dataset if paper else None,
        "paper_protocol": paper.protocol if paper else None,
        "paper_warning": paper.warning if paper else None,
        **row.costs.to_dict(),
    }
    return {
        name: round(value, _ROUNDED) if isinstance(value, float) else value for name, value in record.items()
    }


WRITERS: Mapping[str, Callable[[Comparison, Path], None]] = MappingProxyType(
    {
        ".md": lambda comparison, path: write_text(path, render_markdown(comparison)),
        ".csv": lambda comparison, path: write_text(path, render_csv(comparison)),
        ".html": lambda comparison, path: write_text(path, render_html(comparison)),
        ".json": lambda comparison, path: write_json(path, comparison.to_dict()),
    }
)
