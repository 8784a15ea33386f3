"""How a client talks to a server: which model, how long, how much at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skinzoo.addresses import is_loopback
from skinzoo.errors import UsageError, one_of

AUTO, TYPED, TENSORFLOW = "auto", "typed", "tensorflow"
APIS = (AUTO, TYPED, TENSORFLOW)
DEFAULT_PORT = 8500
_RECONNECT_MS = (("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 2000))
CHANNEL_OPTIONS: list[tuple[str, Any]] = [
    # The sides agree on batches by their bytes; gRPC's own limit is 4 MiB.
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # gRPC waits up to two minutes before it looks for a server again; a restarted one is found sooner.
    *_RECONNECT_MS,
    ("grpc.min_reconnect_backoff_ms", 200),
]


@dataclass(frozen=True, kw_only=True)
class Selector:
    """Which model answers.

    Args:
        name: Its name; may be empty where a server of the typed service has exactly one.
        version: Its version; the newest that is available unless given.
        label: A version's label instead of its number.
    """

    name: str = ""
    version: int | None = None
    label: str = ""

    def __post_init__(self) -> None:
        if self.version is not None and self.label:
            raise UsageError("`version` and `label` must not come together. Received: both.")


@dataclass(frozen=True, kw_only=True)
class ClientOptions:
    """How a client works.

    Args:
        api: `typed`, `tensorflow`, or `auto`: the typed service where the server has it.
        timeout: Seconds that one request may take.
        retry_seconds: Seconds that a request is tried again while the server is unavailable; more than a
            restart takes.
        wait: The same for the first request, which is tried once by default.
        batch: Most cases in a request.
        batch_bytes: Most bytes of images in a request; a larger image goes alone.
        in_flight: Requests under way at a time.
        any_term: Send terms that are not in the model's vocabularies.
        signature: Signature of the TensorFlow Serving API.
    """

    api: str = AUTO
    timeout: float = 60.0
    retry_seconds: float = 120.0
    wait: float = 0.0
    batch: int = 32
    batch_bytes: int = 16 << 20
    in_flight: int = 4
    any_term: bool = False
    signature: str = "serving_default"

    def __post_init__(self) -> None:
        if self.api not in APIS:
            raise one_of("api", self.api, APIS)
        for name, least in (("batch", 1), ("batch_bytes", 1), ("in_flight", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"`{name}` must be at least {least}. Received: {getattr(self, name)}.")
        if not self.timeout > 0:
            raise UsageError(f"`timeout` must be more than 0 seconds. Received: {self.timeout:g}.")
        for name in ("retry_seconds", "wait"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"`{name}` must not be negative. Received: {getattr(self, name):g}.")


def checked_address(server: str) -> str:
    """Return an address that gRPC takes, with the usual port where there is none.

    Args:
        server: `HOST`, `HOST:PORT` or `unix:PATH`.

    Raises:
        UsageError: It is no such address.
    """
    if server.startswith("unix:"):
        return server
    host, colon, port = server.rpartition(":")
    if not colon or server.endswith("]"):
        host, port = server, str(DEFAULT_PORT)
    if not host or "/" in server or not (port.isdecimal() and 0 < int(port) < 65536):
        raise UsageError(
            f"`server` must be HOST:PORT. Received: '{server}'.",
            hint=f"For example: localhost:{DEFAULT_PORT}",
        )
    return f"{host}:{port}"


def metadata_of(
    token: str, server: str, *, encrypted: bool, notify: Callable[[str], None] | None
) -> tuple[tuple[str, str], ...]:
    """Return what goes with every request of a client that has a bearer token.

    Args:
        token: The token; empty for none.
        server: Where it goes, as `checked_address` gives it.
        encrypted: Whether the connection has TLS.
        notify: Told where others could read the token on its way.
    """
    if not token:
        return ()
    here = server.startswith("unix:") or is_loopback(server.rpartition(":")[0])
    if not (encrypted or here) and notify is not None:
        notify("The token goes over a connection without TLS; others could read it.")
    return (("authorization", f"Bearer {token}"),)
