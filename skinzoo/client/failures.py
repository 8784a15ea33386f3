"""gRPC's failures as errors that say what to do, and which of them are worth another try."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import grpc

from skinzoo.errors import ServingError

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
# A server that is told to stop cancels the calls that outlast its grace.
_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
_CASES_AT_FAULT = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
    }
)


_PUSHBACK = "grpc-retry-pushback-ms"


def code_of(error: grpc.RpcError) -> grpc.StatusCode:
    """Return a failed request's status.

    A server that refuses a request because its client has too many under way asks for it later; to the client
    it is as good as away, and its cases are not at fault.
    """
    code: grpc.StatusCode = error.code()
    later = code is grpc.StatusCode.RESOURCE_EXHAUSTED and any(
        key == _PUSHBACK for key, _ in error.trailing_metadata() or ()
    )
    return grpc.StatusCode.UNAVAILABLE if later else code


class CallError(ServingError):
    """A request that failed.

    Args:
        code: gRPC's status.
        details: The server's own words.
        message: What must hold and what came instead.
        hint: What to do about it.
    """

    def __init__(self, code: grpc.StatusCode, details: str, message: str, hint: str | None) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.details = details

    @property
    def cases_at_fault(self) -> bool:
        """Whether the cases of the request may be the reason, so that each is worth a request of its own."""
        return self.code in _CASES_AT_FAULT


class Outage:
    """Says once that the server is away, for all calls that find it so, until it answers again.

    Args:
        notify: Called with the sentence, from any thread.
    """

    def __init__(self, notify: Callable[[str], None] | None) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self._said = False

    def began(self, sentence: str) -> None:
        """Pass a sentence on, unless that was done."""
        with self._lock:
            said, self._said = self._said, True
        if not said and self._notify is not None:
            self._notify(sentence)

    def over(self) -> None:
        """Take that the server answers."""
        self._said = False


class Retry:
    """When to try a request again: only while the server is away, and only for so long.

    Args:
        seconds: Time after the first failure in which it is tried again.
        clock: Gives seconds.
        notify: Called with a sentence before the first further try.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._notify = notify
        self._until: float | None = None
        self._pause = _FIRST_PAUSE

    def pause(self, code: grpc.StatusCode) -> float | None:
        """Return the seconds to wait before the next try; None where there is none."""
        if code not in _AWAY:
            return None
        now = self._clock()
        if self._until is None:
            self._until = now + self._seconds
            if self._notify is not None and self._seconds:
                self._notify(f"The server is unavailable; trying again for up to {self._seconds:g} s.")
        if now >= self._until:
            return None
        # Clients that lost the same server must not come back at the same moment.
        pause = min(self._pause * random.uniform(0.5, 1.0), self._until - now)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)
        return pause


def call_error(error: grpc.RpcError, server: str, *, timeout: float) -> CallError:
    """Return what a failed request means.

    Args:
        error: gRPC's error.
        server: The address.
        timeout: Seconds that the request had.
    """
    code = code_of(error)
    details = " ".join(str(error.details() or "").split())
    message, hint = _meaning(code, details.rstrip(".") or "no reason", server, timeout)
    return CallError(code, details, message, hint)


def not_a_server(server: str) -> ServingError:
    """Return the error for a gRPC server that has neither service."""
    return ServingError(
        f"`server` must be a skinzoo server or TensorFlow Serving. Received: '{server}', which is neither.",
        hint="Check host and port.",
    )


def _meaning(code: grpc.StatusCode, details: str, server: str, timeout: float) -> tuple[str, str | None]:
    if code is grpc.StatusCode.UNAVAILABLE and _speaks_no_grpc(details):
        return (
            f"`server` must be a gRPC port. Received: '{server}', where something else answers ({details}).",
            "Check the port: gRPC is 8500 by default, REST 8501.",
        )
    if code in _AWAY and _handshake_failed(details):
        return (
            f"The server '{server}' must be one to trust, and to be trusted by. Received: {details}.",
            "Check --ca, and --cert with --key where the server asks for a certificate.",
        )
    if code in _AWAY:
        return (
            f"The server '{server}' must be available. Received: {details}.",
            "Check host and port, and --ca where the server has TLS; or start one with: skinzoo serve; "
            "a finished run answers without one: --run RUN",
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return (
            f"The server '{server}' must answer within {timeout:g} s. Received: no answer in time.",
            "Give it more time with --timeout, or less to do with --batch.",
        )
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return (
            f"The server '{server}' must know the client. Received: {details}.",
            "Give the token that it accepts in $SKINZOO_TOKEN or with --token-file.",
        )
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return f"The server '{server}' must have what was asked for. Received: {details}.", None
    if code is grpc.StatusCode.NOT_FOUND:
        return (
            f"The server '{server}' must have the model. Received: {details}.",
            "Check --model, --version and --label.",
        )
    return f"The server '{server}' must answer. Received: {code.name}, {details}.", None


def _speaks_no_grpc(details: str) -> bool:
    lower = details.lower()
    return any(
        sign in lower
        for sign in ("http1", "http/1", "settings frame", "connection preface", "protocol error")
    )


def _handshake_failed(details: str) -> bool:
    lower = details.lower()
    return any(sign in lower for sign in ("handshake", "ssl", "certificate", "peer name"))
