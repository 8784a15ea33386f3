"""`skinzoo promote` and `skinzoo rollback`: a label moves to another version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skinzoo.cli import connection, render
from skinzoo.cli.quiet import import_keras

if TYPE_CHECKING:
    from skinzoo.client.security import Security
    from skinzoo.serving.promotion import Remote

Name = Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")]
Label = Annotated[str, typer.Option(help="The label that moves.")]
File = Annotated[
    Path,
    typer.Option("--model-config-file", metavar="FILE", help="The server's configuration; is rewritten."),
]
Server = Annotated[
    str | None, typer.Option(metavar="HOST:PORT", help="The running server; ours or TensorFlow Serving.")
]
Timeout = Annotated[float, typer.Option(help="Seconds that a version may take to load.")]


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("promote")(promote)
    app.command("rollback")(rollback)


def promote(
    model: Name,
    version: Annotated[int, typer.Argument(min=0, help="The version that the label is to stand for.")],
    model_config_file: File,
    label: Label = "stable",
    server: Server = None,
    timeout: Timeout = 300.0,
    tls: connection.UseTls = False,
    ca: connection.Ca = None,
    cert: connection.Cert = None,
    key: connection.Key = None,
    token_file: connection.TokenFile = None,
) -> None:
    """Move a label to a version in two steps: both are served first, then the label moves.

    With --server both steps are taken, and undone where the version does not load. Without one, the first
    call makes the file serve both versions; call again when the server has loaded it.
    """
    security = connection.security(
        to_server=server is not None, tls=tls, ca=ca, cert=cert, key=key, token_file=token_file
    )
    _move(model, version, label, model_config_file, server, timeout, security)


def rollback(
    model: Name,
    model_config_file: File,
    label: Label = "stable",
    server: Server = None,
    timeout: Timeout = 300.0,
    tls: connection.UseTls = False,
    ca: connection.Ca = None,
    cert: connection.Cert = None,
    key: connection.Key = None,
    token_file: connection.TokenFile = None,
) -> None:
    """Move a label back to the version that `skinzoo promote` moved it from, in the same two steps."""
    security = connection.security(
        to_server=server is not None, tls=tls, ca=ca, cert=cert, key=key, token_file=token_file
    )
    _move(model, None, label, model_config_file, server, timeout, security)


def _move(
    model: str,
    version: int | None,
    label: str,
    file: Path,
    server: str | None,
    timeout: float,
    security: Security | None,
) -> None:
    import_keras()
    from skinzoo.serving.promotion import Promotion, promote

    with _remote(server, timeout, security) as remote:
        done = promote(
            Promotion(model=model, version=version, label=label, file=file, server=remote, step=render.notice)
        )
    if not done.complete:
        render.line(
            f"{file} serves {model} version {done.now} too. When the server has loaded it, do the same again "
            f"to move '{label}'."
        )
    elif done.before == done.now:
        render.line(f"'{label}' of {model} stands for version {done.now} already.")
    else:
        before = f", before {done.before}" if done.before is not None else ""
        render.line(f"'{label}' of {model} stands for version {done.now}{before}.")


@contextmanager
def _remote(server: str | None, timeout: float, security: Security | None) -> Iterator[Remote | None]:
    if server is None:
        yield None
        return
    import grpc

    from skinzoo.client.options import CHANNEL_OPTIONS, checked_address, metadata_of
    from skinzoo.serving.promotion import Remote

    address = checked_address(server)
    credentials = security.credentials() if security is not None else None
    token = security.token if security is not None else ""
    metadata = metadata_of(token, address, encrypted=credentials is not None, notify=render.notice)
    channel = (
        grpc.secure_channel(address, credentials, options=CHANNEL_OPTIONS)
        if credentials is not None
        else grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
    )
    with channel:
        yield Remote(channel, metadata=metadata, timeout=timeout)
