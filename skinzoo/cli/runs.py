"""`skinzoo runs`: all runs with their state, best epoch and scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skinzoo.cli import render


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("runs")(runs)


def runs(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of runs; $SKINZOO_HOME/runs or ./skinzoo-runs."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs, the newest last."""
    from skinzoo.home import runs_folder
    from skinzoo.training.runs import list_runs

    folder = out or runs_folder()
    found = list_runs(folder)
    if as_json:
        render.json_document(
            [
                {
                    "name": run.name,
                    "path": str(run.path),
                    "state": run.state,
                    "variant": run.variant,
                    "recipe": run.recipe,
                    "epochs": run.epochs,
                    "best_epoch": run.best_epoch,
                    "scores": dict(run.scores),
                    "problem": run.problem,
                }
                for run in found
            ]
        )
        return
    if not found:
        render.line(f"There are no runs in {folder}.")
        return
    render.table(
        ["run", "state", "epochs", "best", "accuracy", "bal. acc", "macro-F1"],
        [
            [
                run.name,
                run.state,
                str(run.epochs),
                "-" if run.best_epoch is None else str(run.best_epoch),
                *(
                    f"{run.scores[score]:.4f}" if score in run.scores else "-"
                    for score in ("val_accuracy", "val_balanced_accuracy", "val_macro_f1")
                ),
            ]
            for run in found
        ],
        right=["epochs", "best", "accuracy", "bal. acc", "macro-F1"],
    )
    if any(run.scores for run in found):
        render.line("Scores are those of the validation part, at the best epoch.")
    for run in found:
        if run.problem:
            render.notice(f"{run.name}: {run.problem}")
