"""The options of `skinzoo serve --server tensorflow`, and running it."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skinzoo.cli import render
from skinzoo.errors import UsageError, one_of

if TYPE_CHECKING:
    from skinzoo.serving.serve import ServeRequest
    from skinzoo.serving.tensorflow_ready import Pair
    from skinzoo.serving.tensorflow_server import TensorFlowServer

SKINZOO, TENSORFLOW = "skinzoo", "tensorflow"

Server = Annotated[
    str,
    typer.Option(
        "--server",
        metavar="skinzoo|tensorflow",
        help="Whose server: this one, or TensorFlow Serving itself, started with the same options.",
    ),
]
Binary = Annotated[
    str | None,
    typer.Option(metavar="FILE", help="TensorFlow Serving's executable; tensorflow_model_server on PATH."),
]
Image = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Run TensorFlow Serving from this container image instead."),
]
Gpus = Annotated[
    str | None, typer.Option(metavar="all|N", help="GPUs for TensorFlow Serving, as for docker run.")
]
MemoryFraction = Annotated[
    float,
    typer.Option(
        "--per-process-gpu-memory-fraction",
        min=0,
        max=1,
        show_default=False,
        help="Part of a GPU's memory that TensorFlow Serving takes.",
    ),
]
ReadyCert = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Certificate to ask TensorFlow Serving with whether it is ready, where clients must have one; "
        "the server's own unless given.",
    ),
]
ReadyKey = Annotated[Path | None, typer.Option(metavar="FILE", help="Key of --ready-cert.")]


def check_server(server: str, *, of_tensorflow: dict[str, Any], of_ours: dict[str, Any]) -> None:
    """Check that options fit the server.

    Args:
        server: Whose server.
        of_tensorflow: Options that TensorFlow Serving alone has, with what was given; falsy for nothing.
        of_ours: Options that it does not have.

    Raises:
        UsageError: There is no such server, or an option is for the other one.
    """
    if server not in (SKINZOO, TENSORFLOW):
        raise one_of("--server", server, [SKINZOO, TENSORFLOW])
    wrong, other = (of_tensorflow, TENSORFLOW) if server == SKINZOO else (of_ours, SKINZOO)
    for name, value in wrong.items():
        if value:
            raise UsageError(f"`{name}` must come with --server {other}. Received: --server {server}.")
    if of_tensorflow.get("--image") and of_tensorflow.get("--binary"):
        raise UsageError("TensorFlow Serving must be started in one way. Received: --image and --binary.")


def run(
    request: ServeRequest,
    *,
    binary: str | None,
    image: str | None,
    gpus: str | None,
    memory_fraction: float,
    flags: Mapping[str, str],
    cert: Path | None,
    key: Path | None,
) -> None:
    """Run TensorFlow Serving until it ends."""
    from skinzoo.serving.tensorflow_server import BINARY, LaunchOptions, launched

    options = LaunchOptions(
        binary=binary or BINARY,
        image=image,
        gpus=gpus,
        memory_fraction=memory_fraction,
        flags=flags,
        client=_client(cert, key),
    )
    ready: list[TensorFlowServer] = []

    def started(server: TensorFlowServer) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, frame: server.forward(number))
        render.notice(f"TensorFlow Serving starts: {image or binary or BINARY}")

    def show(line: str) -> None:
        # Until then its lines are kept, and shown where it dies.
        if ready:
            render.notice(line)

    with launched(request, options, started=started, show=show) as server:
        ready.append(server)
        rest = f", REST on {server.rest}" if server.rest is not None else ""
        render.notice(f"Ready: gRPC on {server.address}{rest}. Stop with Ctrl-C.")
        server.wait()
    render.notice("Stopped.")


def _client(cert: Path | None, key: Path | None) -> Pair | None:
    from skinzoo.serving.tensorflow_ready import Pair

    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise UsageError(
            "`--ready-cert` must come with --ready-key. Received: one of them alone.", hint="Give both."
        )
    try:
        return Pair(key=key.read_bytes(), certificate=cert.read_bytes())
    except OSError as error:
        raise UsageError(f"`--ready-cert` and `--ready-key` must be readable. Received: {error}.") from error
