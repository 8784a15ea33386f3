"""`skinzoo compare`: named runs beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skinzoo.cli import render
from skinzoo.cli.completion import one_of_these
from skinzoo.errors import PartialFailureError

if TYPE_CHECKING:
    from skinzoo.evaluation.comparison.entries import Entry, Left
    from skinzoo.evaluation.comparison.ranking import Comparison

By = Annotated[str, typer.Option(help="Metric to sort by; that of a class as 'recall[mel]'.")]
Part = Annotated[
    str,
    typer.Option(
        help="train, validation, test, or external.",
        autocompletion=one_of_these("train", "validation", "test", "external"),
    ),
]
Split = Annotated[str | None, typer.Option(metavar="HASH", help="Only runs of the split that begins so.")]
Across = Annotated[
    bool, typer.Option("--across-splits", help="List runs of several splits, each split for itself.")
]
CostFiles = Annotated[
    list[Path] | None, typer.Option("--costs", metavar="FILE", help="Files of `skinzoo profile --to`.")
]
Draws = Annotated[int, typer.Option(help="Bootstrap draws of the differences to the best run.")]
To = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write .md, .csv, .html or .json, by the suffix.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare)


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...", help="Runs: path, name, unique prefix or latest; result folders too."
        ),
    ],
    by: By = "balanced_accuracy",
    part: Part = "test",
    split: Split = None,
    across_splits: Across = False,
    costs: CostFiles = None,
    draws: Draws = 1000,
    to: To = None,
    as_json: Json = False,
) -> None:
    """Compare evaluated runs: intervals, paired differences to the best, papers' numbers, costs."""
    from skinzoo.evaluation.comparison.entries import entries_of

    check(to, draws)
    entries, left = entries_of(runs, part)
    show(entries, left, by, split, across_splits, costs, draws, to, as_json)
    if left:
        raise PartialFailureError(
            f"Every named run must be evaluated to be compared. Received: {len(left)} that cannot be listed, "
            f"{', '.join(one.name for one in left)}."
        )


def check(to: Path | None, draws: int) -> None:
    """Check what can be wrong before anything is read.

    Raises:
        UsageError: The suffix of --to is unknown, or there are too few draws.
    """
    from skinzoo.errors import UsageError
    from skinzoo.evaluation.comparison.writing import check_suffix

    if to is not None:
        check_suffix(to)
    if draws < 100:
        raise UsageError(f"`draws` must be at least 100. Received: {draws}.")


def show(
    entries: list[Entry],
    left: list[Left],
    by: str,
    split: str | None,
    across_splits: bool,
    costs: list[Path] | None,
    draws: int,
    to: Path | None,
    as_json: bool,
) -> None:
    """Rank what was found, write it where asked and print it."""
    from skinzoo.evaluation.comparison.ranking import rank_runs
    from skinzoo.evaluation.comparison.writing import write_comparison
    from skinzoo.profile.record import read_profile

    profiles = [read_profile(path) for path in costs or ()]
    with render.counted("Paired differences") as progress:
        found = rank_runs(
            entries,
            left,
            by=by,
            split=split,
            across_splits=across_splits,
            profiles=profiles,
            draws=draws,
            progress=progress,
        )
    if to is not None:
        write_comparison(found, to)
    if as_json:
        render.json_document(found.to_dict())
        return
    print_comparison(found)
    if to is not None:
        render.line(f"Written: {to}")


def print_comparison(found: Comparison) -> None:
    """Print a comparison as tables with their notes."""
    from skinzoo.evaluation.comparison.tables import cost_grid, ranking_grid

    for group in found.groups:
        grid = ranking_grid(found, group, brief=True)
        render.heading(group.title)
        render.table(grid.columns, grid.rows, right=["#"])
        render.paragraph(grid.note)
        render.line()
        grid = cost_grid(group, brief=True)
        render.table(grid.columns, grid.rows, right=grid.columns[1:])
        if grid.note:
            render.paragraph(grid.note)
        render.line()
    for note in found.notes():
        render.notice(note)
    for one in found.left:
        render.notice(str(one))
