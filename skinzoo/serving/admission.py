"""Who is let in: by token, while there is room, and only so much of one client at a time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from skinzoo.serving.status import RpcError
from skinzoo.serving.tokens import Tokens, token_of

PUSHBACK = ("grpc-retry-pushback-ms", "100")
"""Tells a client that the same request may be answered a little later."""
_HEALTH = "/grpc.health.v1.Health/"
ASIDE = ThreadPoolExecutor(2, thread_name_prefix="aside")
"""Answers what must not wait behind work: refusals, and the questions of probes."""


class CountedPool(ThreadPoolExecutor):
    """Threads that know how many calls they have, those that wait for a thread included."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads, thread_name_prefix="rpc")
        self._lock = threading.Lock()
        self.calls = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Take a call up."""
        with self._lock:
            self.calls += 1
        try:
            future = super().submit(fn, *args, **kwargs)
        except BaseException:
            self._ended(None)
            raise
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _: Any) -> None:
        with self._lock:
            self.calls -= 1


class ClientLimit:
    """Bounds how many requests of one client are under way.

    Args:
        most: Requests at a time; 0 for any number.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def holding(self, client: str) -> Iterator[None]:
        """Count a request of a client while the body of the `with` runs.

        Raises:
            RpcError: RESOURCE_EXHAUSTED, as it has too many under way.
        """
        with self._lock:
            if self.most and self._under_way[client] >= self.most:
                raise RpcError(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"A client may have {self.most} requests under way. Try again when one is answered.",
                )
            self._under_way[client] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[client] -= 1
                if not self._under_way[client]:
                    del self._under_way[client]


class Admission(grpc.ServerInterceptor):
    """Decides before a request's message is read.

    Args:
        pool: The threads of the server.
        most_calls: Calls that are under way or wait for a thread; more are UNAVAILABLE.
        tokens: One of these must come with a call; None where anybody may call. Health needs none.
        clients: How much of one client is under way.
    """

    def __init__(
        self, pool: CountedPool, most_calls: int, *, tokens: Tokens | None = None, clients: ClientLimit
    ) -> None:
        self._pool = pool
        self._most_calls = most_calls
        self._tokens = tokens
        self._clients = clients

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Return what answers a call."""
        if handler_call_details.method.startswith(_HEALTH):
            return _aside(continuation(handler_call_details))
        if self._tokens is not None:
            metadata = handler_call_details.invocation_metadata
            given = next((value for key, value in metadata if key == "authorization"), None)
            if not self._tokens.accepts(given):
                return _refusal(
                    grpc.StatusCode.UNAUTHENTICATED, "A request must come with a token that is known here."
                )
        if self._pool.calls >= self._most_calls:
            return _refusal(
                grpc.StatusCode.UNAVAILABLE, f"The queue is full: {self._most_calls} calls are under way."
            )
        handler = continuation(handler_call_details)
        if handler is None or not self._clients.most:
            return handler
        return _counted(handler, self._clients)


def client_of(peer: str, authorization: str | bytes | None, identity: bytes = b"") -> str:
    """Return by what a client is known: its certificate, else its token, else its address.

    Args:
        peer: Address and port, as gRPC gives them.
        authorization: Its `authorization` header.
        identity: The name in its certificate.
    """
    if identity:
        return f"certificate {identity!r}"
    if token := token_of(authorization):
        return f"token {hash(token)}"
    return peer.rpartition(":")[0] if peer.startswith("ip") else peer


def _client(context: grpc.ServicerContext) -> str:
    metadata = dict(context.invocation_metadata())
    identities = context.peer_identities() or ()
    return client_of(context.peer(), metadata.get("authorization"), next(iter(identities), b""))


def _refusal(code: grpc.StatusCode, text: str) -> grpc.RpcMethodHandler:
    def refuse(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        context.abort(code, text)
        raise AssertionError

    # A handler of streams reads no message, however large it is.
    refuse.experimental_thread_pool = ASIDE  # type: ignore[attr-defined]
    return grpc.stream_stream_rpc_method_handler(refuse)


def _aside(handler: Any) -> Any:
    """Let a health check be answered when every other thread is busy; Watch has its own way."""
    if handler is None or handler.unary_unary is None:
        return handler

    def check(request: Any, context: grpc.ServicerContext) -> Any:
        return handler.unary_unary(request, context)

    check.experimental_thread_pool = ASIDE  # type: ignore[attr-defined]
    return grpc.unary_unary_rpc_method_handler(
        check, handler.request_deserializer, handler.response_serializer
    )


def _counted(handler: Any, clients: ClientLimit) -> Any:
    @contextmanager
    def admitted(context: grpc.ServicerContext) -> Iterator[None]:
        try:
            with clients.holding(_client(context)):
                yield
        except RpcError as error:
            context.set_trailing_metadata((PUSHBACK,))
            context.abort(error.code, error.message)

    def one(request: Any, context: grpc.ServicerContext) -> Any:
        with admitted(context):
            return behavior(request, context)

    def several(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        with admitted(context):
            yield from behavior(request, context)

    kind = f"{'stream' if handler.request_streaming else 'unary'}_" + (
        "stream" if handler.response_streaming else "unary"
    )
    behavior = getattr(handler, kind)
    return getattr(grpc, f"{kind}_rpc_method_handler")(
        several if handler.response_streaming else one,
        handler.request_deserializer,
        handler.response_serializer,
    )
