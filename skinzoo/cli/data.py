"""`skinzoo data`: what is on disk, how honest it is, how it is split, and where to get it."""

from __future__ import annotations

import typer

from skinzoo.cli import render

commands = typer.Typer(
    name="data",
    help="Read, audit, split, report on and download datasets.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands)


@commands.command("list")
def list_datasets() -> None:
    """List the datasets that skinzoo can read."""
    from skinzoo.registry import registry
    from skinzoo.specs import DatasetSpec

    found = registry()
    specs = [found.get(DatasetSpec, name) for name in found.names(DatasetSpec.kind)]
    render.table(["dataset", "title"], [[spec.name, spec.title] for spec in specs])
