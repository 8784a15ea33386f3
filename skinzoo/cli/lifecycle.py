"""The options of `skinzoo serve` that say what happens while it runs and how it stops, and its stopping."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinzoo.cli import render

if TYPE_CHECKING:
    from skinzoo.serving.server import Server
    from skinzoo.serving.watching import Watching

INTERRUPTED = 130
_MICROS = 1_000_000
_LOOK = 0.2

FolderPoll = Annotated[
    float,
    typer.Option(
        "--file-system-poll-wait-seconds",
        help="Seconds between looks for new versions; 0 for one look, below 0 for none.",
    ),
]
ConfigPoll = Annotated[
    float,
    typer.Option(
        "--model-config-file-poll-wait-seconds",
        help="Seconds between looks at --model-config-file; 0 for one look.",
    ),
]
MaxRetries = Annotated[
    int,
    typer.Option("--max-num-load-retries", min=0, help="Tries after a version's first one that failed."),
]
RetryInterval = Annotated[
    int, typer.Option("--load-retry-interval-micros", min=0, help="Microseconds between these.")
]
DrainSeconds = Annotated[
    float, typer.Option(min=0, help="Seconds that calls under way have to end after SIGTERM.")
]
LameDuckSeconds = Annotated[
    float,
    typer.Option(min=0, help="Seconds after SIGTERM in which calls are still taken while health says no."),
]


def watching(
    config_file: Path | None, *, folders: float, config: float, retries: int, interval: int
) -> Watching:
    """Return what the options say."""
    from skinzoo.serving.versions import Retries
    from skinzoo.serving.watching import Watching

    return Watching(
        folders=folders,
        config=config,
        config_file=config_file,
        retries=Retries(most=retries, pause=interval / _MICROS),
    )


def until_stopped(server: Server, lame_duck: float) -> None:
    """Return when SIGINT or SIGTERM comes and `lame_duck` seconds are over; a second one ends the process."""
    signals: list[int] = []

    def asked(number: int, frame: Any) -> None:
        if signals:
            # Not by an exception: threads that compute would be waited for.
            os.write(2, b"Stopped before every call was answered.\n")
            os._exit(INTERRUPTED)
        signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked)
    rest = f", REST on {server.rest.address}" if server.rest is not None else ""
    render.notice(f"Ready: gRPC on {server.address}{rest}. Stop with Ctrl-C.")
    # In short sleeps: a signal that the system gives to another thread does not end a wait of this one, and
    # an event could be set by the handler while its own lock is held here.
    while not signals:
        time.sleep(_LOOK)
    server.leave()
    render.notice("Stopping when the calls under way are answered; once more stops now.")
    time.sleep(lame_duck)


def end(*, idle: bool) -> None:
    """Say that the server stopped; end the process where calls that were cut off still compute."""
    render.notice("Stopped." if idle else "Stopped; calls under way were cut off.")
    if not idle:
        os._exit(0)
