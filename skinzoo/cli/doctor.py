"""`skinzoo doctor`: whether this installation and a run are sound."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from skinzoo.cli import render

if TYPE_CHECKING:
    from skinzoo.doctor import Check


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="A run (path, name, unique prefix or latest): check that it is complete and readable.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check versions, devices, entry points, plugins and extras, and with --run a run.

    Ends with 0 where all is well, 5 for a run that is damaged or was stopped, 4 for trouble with the
    installation or with plugins. A missing extra is no trouble.
    """
    from skinzoo import doctor as service
    from skinzoo.registry import registry

    checks = service.examine(registry(), run)
    if as_json:
        render.json_document(service.as_document(checks))
    else:
        _print(checks)
    failure = service.failure(checks)
    if failure is not None:
        raise failure


def _print(checks: Sequence[Check]) -> None:
    for section, found in groupby(checks, key=lambda check: check.section):
        render.heading(section)
        rows = [[check.subject, _MARKS[check.status], _detail(check)] for check in found]
        render.rows(rows)
        render.line()


_MARKS = {"ok": "ok", "information": "-", "problem": "PROBLEM"}


def _detail(check: Check) -> str:
    return f"{check.detail.removesuffix('.')}. {check.hint}" if check.hint else check.detail
