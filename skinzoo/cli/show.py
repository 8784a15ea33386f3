"""`skinzoo show`: everything about one part, and with `--build` the built model's numbers."""

from __future__ import annotations

import typer


def add_to(app: typer.Typer) -> None:
    """Add the command."""
