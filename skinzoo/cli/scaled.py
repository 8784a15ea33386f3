"""Options of the commands that `--ray` scales out, and what they share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from skinzoo.cli import render
from skinzoo.errors import UsageError
from skinzoo.machine import cores

if TYPE_CHECKING:
    from skinzoo.scale.batch import Engine, Session

UseRay = Annotated[bool, typer.Option("--ray", help="Work with several workers, on Ray.")]
Workers = Annotated[
    int | None,
    typer.Option(metavar="N", help="Workers of --ray, which share all cores; at most 4 unless given."),
]
Address = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="A Ray cluster; one on this machine unless given.")
]


def check(ray: bool, **others: object) -> None:
    """Check that options of `--ray` do not come alone, and before anything else that Ray is installed.

    Args:
        ray: Whether it was given.
        others: Values of the options that belong to it, by name.

    Raises:
        UsageError: One of them came alone.
        MissingExtraError: Ray is not installed.
    """
    if not ray:
        given = [f"--{name}" for name, value in others.items() if value is not None]
        if given:
            raise UsageError(f"{given[0]} must come with --ray. Received: {given[0]} alone.")
        return
    from skinzoo.extras import require
    from skinzoo.scale.capacity import check_workers

    if find_spec("ray") is None:
        # Imported only where it fails: it takes seconds, and its settings come first.
        require("ray", extra="ray", purpose="`--ray`")
    require("pyarrow", extra="ray", purpose="`--ray`")
    workers = others.get("workers")
    if isinstance(workers, int) and others.get("address") is None:
        check_workers(workers, cores())


@contextmanager
def engine(address: str | None, workers: int | None) -> Iterator[Engine]:
    """Give the workers of a cluster, which ends with the block where it was started here."""
    from skinzoo.scale.batch import Engine
    from skinzoo.scale.cluster import connect

    with connect(address, cpus=cores() if address is None else None) as ray:
        yield Engine(ray, workers)


def show_pace(session: Session) -> None:
    """Print how fast each worker and all together were."""
    if not session.done:
        return
    rows = [
        [one.worker, f"{one.cases:,}", f"{one.loading:.1f}", f"{one.busy:.1f}", f"{one.rate:,.1f}"]
        for one in session.paces
    ]
    columns = ["worker", "cases", "loading (s)", "busy (s)", "cases/s"]
    render.table(columns, rows, right=columns[1:])
    each = render.number_of(session.cores, "core")
    render.line(
        f"{session.rate:,.1f} cases/s overall: {session.cases:,} in {session.seconds:.1f} s, {each} a worker."
    )
