"""The options of `skinzoo serve` that say who may call, and how much."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from skinzoo.serving.protection import Protection

_MIB = 1 << 20
LARGEST_MESSAGE_MIB = 2048.0

SslConfigFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="TLS, as a text proto of SSLConfig: key, certificates.")
]
TokenFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Tokens, one a line; requests must come with one.")
]
AllowInsecure = Annotated[
    bool, typer.Option("--allow-insecure", help="Listen without TLS where other machines reach it.")
]
MaxMessageMib = Annotated[float, typer.Option(help="Most MiB of a request.")]
MaxImageMib = Annotated[float, typer.Option(help="Most MiB of an image file.")]
MaxImagePixels = Annotated[int, typer.Option(min=1, help="Most pixels of an image.")]
MaxCases = Annotated[int, typer.Option(min=1, help="Most cases of a request to the typed service.")]
MaxWaitingCalls = Annotated[
    int | None,
    typer.Option(min=0, help="Calls that may wait for a thread; half of --grpc-max-threads unless given."),
]
MaxCallsPerClient = Annotated[
    int, typer.Option(min=0, help="Calls of one client at the same time; 0 for any number.")
]
ReloadBase = Annotated[
    list[Path] | None,
    typer.Option(metavar="FOLDER", help="HandleReloadConfigRequest may load from there too; repeatable."),
]


def protection(
    *,
    ssl_config_file: Path | None,
    token_file: Path | None,
    allow_insecure: bool,
    max_message_mib: float,
    max_image_mib: float,
    max_image_pixels: int,
    max_cases: int,
    max_waiting_calls: int | None,
    max_calls_per_client: int,
    host: str,
) -> Protection:
    """Return what the options say.

    Raises:
        UsageError: A file cannot be used, a limit cannot be one, or TLS is missing where it is needed.
    """
    from skinzoo.serving.limits import Limits
    from skinzoo.serving.protection import LARGEST_MESSAGE, Protection
    from skinzoo.serving.tls import check_exposed, read_ssl_config
    from skinzoo.serving.tokens import read_tokens

    check_exposed(host, tls=ssl_config_file is not None, allowed=allow_insecure)
    return Protection(
        tls=read_ssl_config(ssl_config_file) if ssl_config_file is not None else None,
        tokens=read_tokens(token_file) if token_file is not None else None,
        allow_insecure=allow_insecure,
        # The largest length is one byte less than a whole number of MiB.
        message_bytes=LARGEST_MESSAGE
        if max_message_mib == LARGEST_MESSAGE_MIB
        else int(max_message_mib * _MIB),
        waiting=max_waiting_calls,
        per_client=max_calls_per_client,
        limits=Limits(image_bytes=int(max_image_mib * _MIB), pixels=max_image_pixels, cases=max_cases),
    )
