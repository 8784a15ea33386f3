"""`skinzoo ensemble`: several runs saved as one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skinzoo.cli import render
from skinzoo.cli.completion import one_of_these

METHODS = ("mean", "weighted", "subset")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("ensemble")(ensemble)


def ensemble(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs of one split: paths, names, ...")],
    name: Annotated[str, typer.Option(help="Name of the new run.")],
    combine: Annotated[
        str,
        typer.Option(
            metavar="mean|weighted|subset",
            help="Weights or a subset are chosen on the validation part.",
            autocompletion=one_of_these(*METHODS),
        ),
    ] = "mean",
    data: Annotated[str | None, typer.Option(help="Where the runs' data lie now.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of runs; ./skinzoo-runs by default.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Save several runs as one run whose model averages theirs.

    The runs must have the same classes and split, and decode images alike. The new run is listed, evaluated
    and exported like any other; its card names the members, their weights and what they were chosen on.
    """
    from skinzoo.cli.progress import prediction_progress
    from skinzoo.cli.quiet import import_keras
    from skinzoo.evaluation.combine import check_method
    from skinzoo.evaluation.ensemble import check_members
    from skinzoo.evaluation.ensemble_run import check_decodings, save_ensemble
    from skinzoo.runs import load_run

    members = [load_run(one) for one in runs]
    check_method(combine)
    check_members(members)
    check_decodings(members)
    import_keras()
    with prediction_progress() as progress:
        saved = save_ensemble(members, name, method=combine, data=data, folder=out, progress=progress)
    if as_json:
        render.json_document(
            {
                "run": str(saved.run),
                "attention_map": saved.attention,
                "scores": saved.scores,
                **saved.combination.to_dict(),
            }
        )
        return
    render.fields(
        [
            ("run", str(saved.run)),
            ("combined", saved.combination.sentence()),
            *(
                (key.removeprefix("val_"), f"{value:.4f} on validation")
                for key, value in saved.scores.items()
            ),
            ("attention map", "mean of the members'" if saved.attention else "none: sizes differ"),
        ]
    )
