"""`skinzoo new-plugin`: writes a complete third-party plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skinzoo.cli import render


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("new-plugin")(new_plugin)


def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of its distribution, such as skinzoo-example.")],
    to: Annotated[
        Path, typer.Option(help="Existing directory that the plugin's directory goes to.")
    ] = Path(),
) -> None:
    """Write a plugin with a backbone, a variant, a Keras layer and tests; nothing is overwritten."""
    from skinzoo.registry import registry
    from skinzoo.scaffold import write_plugin

    files = write_plugin(name, to, registry())
    for file in files:
        render.line(str(file))
    render.notice(f'Next: cd {to / name} && pip install -e ".[test]" && pytest')
