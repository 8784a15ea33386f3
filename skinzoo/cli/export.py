"""`skinzoo export`: a run as a SavedModel that servers load, or as a file of another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skinzoo.cli import render
from skinzoo.cli.completion import one_of_these
from skinzoo.errors import UsageError
from skinzoo.export.formats import FORMATS, SAVEDMODEL

if TYPE_CHECKING:
    from skinzoo.export.of_run import Exported


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    run: Annotated[str, typer.Argument(help="A finished run: path, name, unique prefix or latest.")],
    to: Annotated[
        Path | None,
        typer.Option(metavar="BASE", help="Folder of models; $SKINZOO_HOME/exports, where serve looks."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model; that of the variant.")] = None,
    version: Annotated[int | None, typer.Option(help="Version number; the next one.")] = None,
    format: Annotated[
        str,
        typer.Option(
            "--format", metavar="|".join(FORMATS), help="Format.", autocompletion=one_of_these(*FORMATS)
        ),
    ] = SAVEDMODEL,
    warmup_batches: Annotated[
        str,
        typer.Option(metavar="N,N,...", help="Batch sizes that a server runs before it is ready; none."),
    ] = "1,8,32",
    data: Annotated[
        str | None, typer.Option(help="Where the run's data lie now; int8 looks at training images.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write BASE/NAME/VERSION and prove that it gives the run's probabilities.

    A SavedModel takes image files and metadata and needs nothing but TensorFlow or TensorFlow Serving; the
    proof asks it in a fresh process without skinzoo. LiteRT, ONNX and OpenVINO files take decoded images.
    """
    import os
    import sys

    from skinzoo.runs import load_run

    batches = _batches(warmup_batches)
    if "tensorflow" not in sys.modules:
        # A GPU calculates shorter than the proof's 1e-5, and an export needs none.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    exported = load_run(run).export(
        to,
        format=format,
        name=name,
        version=version,
        warmup_batches=batches,
        data=data,
        step=lambda text: render.notice(f"{text} ..."),
    )
    if as_json:
        render.json_document(exported.to_dict())
    else:
        _print(exported)


def _batches(text: str) -> tuple[int, ...]:
    if text.strip().lower() == "none":
        return ()
    try:
        return tuple(int(one) for one in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"`--warmup-batches` must be whole numbers with commas between, or none. Received: '{text}'.",
            hint="For example: --warmup-batches 1,8,32",
        ) from error


def _print(exported: Exported) -> None:
    card, parity = exported.card, exported.parity
    bound = f"at most {parity.tolerance:g} allowed" if parity.tolerance else "int8, no bound"
    rows = [
        ("model", f"{card.name}, version {card.version}"),
        ("classes", ", ".join(card.classes)),
    ]
    if card.signatures:
        rows += [
            ("signatures", ", ".join(sorted(card.signatures))),
            ("calibration", "in the graph" if card.calibration else "none"),
            ("warm-up", render.number_of(exported.warmup_records, "record")),
        ]
    rows += [
        (
            "parity",
            f"{parity.largest:.2g} from Keras over {parity.cases} golden cases ({bound}), "
            f"{parity.same_class} of the same class",
        ),
        ("size", f"{exported.size / 1e6:.1f} MB"),
    ]
    render.fields(rows)
    render.line(f"Export: {exported.path}")
    if card.signatures:
        render.line(f"Serve it with: skinzoo serve {exported.path.parent.parent}")
