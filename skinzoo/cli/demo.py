"""`skinzoo demo`: the whole chain on drawn images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skinzoo.cli import render

DEFAULT = Path("skinzoo-demo")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for all that is made.")] = DEFAULT,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the training.", min=1)] = None,
    images: Annotated[int | None, typer.Option(help="Images that are drawn.", min=100)] = None,
) -> None:
    """Draw data, audit, train, evaluate, explain, export, serve and classify: nothing is downloaded."""
    from skinzoo.demo import Demo, Step
    from skinzoo.demo.page import abstains, answered
    from skinzoo.export.names import PREDICTED_CLASS

    given = {"epochs": epochs, "images": images}
    made = Demo(to, **{name: number for name, number in given.items() if number is not None})
    total = len(made.steps())

    def announce(number: int, step: Step) -> None:
        render.heading(f"{number}/{total} {step.title}")
        render.line(f"$ {step.command}")

    page = made.run(announce)
    render.heading("Answers")
    render.table(
        ["image", "drawn as", "answered", "probability", "sure", "metadata"],
        [
            [
                case["image_id"],
                case["label"],
                row[PREDICTED_CLASS],
                f"{float(row['p_' + row[PREDICTED_CLASS]]):.3f}",
                "no" if abstains(row) else "yes",
                "sent" if known else "not sent",
            ]
            for case, row, known in answered(made)
        ],
    )
    render.line(f"Open this page: {page}")
    render.line("Next, with your own images: skinzoo data list, then skinzoo train VARIANT --data FOLDER")
