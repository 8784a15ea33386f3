"""The options that say how a command reaches a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skinzoo.errors import UsageError

if TYPE_CHECKING:
    from skinzoo.client.security import Security

UseTls = Annotated[bool, typer.Option("--tls", help="Reach the server by TLS; --ca and --cert do so too.")]
Ca = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Authorities that the server's certificate comes from.")
]
Cert = Annotated[Path | None, typer.Option(metavar="FILE", help="Own certificate, for mutual TLS.")]
Key = Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key.")]
TokenFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Token for the server; $SKINZOO_TOKEN unless given.")
]


def security(
    *,
    to_server: bool,
    tls: bool,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    token_file: Path | None,
) -> Security | None:
    """Return what the options say; None where there is no server to reach.

    Raises:
        UsageError: They came without a server, or a file cannot be used.
    """
    if to_server:
        from skinzoo.client.security import read_security

        return read_security(tls=tls, ca=ca, cert=cert, key=key, token_file=token_file)
    given = {"--tls": tls or None, "--ca": ca, "--cert": cert, "--key": key, "--token-file": token_file}
    named = [name for name, value in given.items() if value is not None]
    if named:
        raise UsageError(f"{named[0]} must come with a server. Received: none.")
    return None
