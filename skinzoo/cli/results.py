"""`skinzoo results`: every evaluated run of a folder in one table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skinzoo.cli import render
from skinzoo.cli.compare import Across, By, CostFiles, Draws, Json, Part, Split, To, check, show


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("results")(results)


def results(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER...",
            help="Folders of runs or of results; ./skinzoo-runs by default.",
            show_default=False,
        ),
    ] = None,
    by: By = "balanced_accuracy",
    part: Part = "test",
    split: Split = None,
    across_splits: Across = False,
    costs: CostFiles = None,
    draws: Draws = 1000,
    to: To = None,
    as_json: Json = False,
) -> None:
    """List all finished and evaluated runs, the best first, and name those that are not evaluated."""
    from skinzoo.evaluation.comparison.entries import entries_in
    from skinzoo.home import runs_folder

    check(to, draws)
    chosen = folders or [runs_folder()]
    entries, left = entries_in(chosen, part) if folders or chosen[0].is_dir() else ([], [])
    if not entries and not left:
        if as_json:
            render.json_document({"groups": [], "left_out": []})
        else:
            render.line(f"There are no runs in {', '.join(map(str, chosen))}.")
        return
    show(entries, left, by, split, across_splits, costs, draws, to, as_json)
