"""Who is let in through REST: by token, while there is room, and only so much at a time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc

from skinzoo.serving.admission import ClientLimit, client_of
from skinzoo.serving.rest.errors import failure
from skinzoo.serving.rest.options import RestOptions
from skinzoo.serving.servable import deadline_exceeded
from skinzoo.serving.status import RpcError, unavailable


class RestAdmission:
    """Middleware that decides before a body is read, and stops reading one that is too large or too slow.

    Args:
        app: What answers.
        options: Tokens and limits.
    """

    def __init__(self, app: Any, options: RestOptions) -> None:
        self._app = app
        self._tokens = options.protection.tokens
        self._most_bytes = options.protection.message_bytes
        self._most_calls = options.protection.most_calls(options.threads)
        self._clients = ClientLimit(options.protection.per_client)
        self._seconds = options.timeout
        self._calls = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # All of this runs in the one thread of the event loop, so nothing comes between test and count.
        self._calls += 1
        try:
            headers = dict(scope["headers"])
            self._check(headers)
            client = scope.get("client") or ("",)
            with self._clients.holding(client_of(f"ip:{client[0]}:", headers.get(b"authorization"))):
                await self._app(scope, self._bounded(receive), send)
        except RpcError as error:
            await _refuse(error, send)
        finally:
            self._calls -= 1

    def _check(self, headers: dict[bytes, bytes]) -> None:
        if self._tokens is not None and not self._tokens.accepts(headers.get(b"authorization")):
            raise RpcError(
                grpc.StatusCode.UNAUTHENTICATED, "A request must come with a token that is known here."
            )
        if self._calls > self._most_calls:
            raise unavailable(f"The queue is full: {self._most_calls} requests are under way.")
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length[:20]) > self._most_bytes:
            raise self._too_large()

    def _bounded(self, receive: Any) -> Any:
        taken, whole = 0, False

        async def bounded() -> Any:
            nonlocal taken, whole
            if whole:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), self._seconds)
            except asyncio.TimeoutError:
                raise deadline_exceeded() from None
            taken += len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if taken > self._most_bytes:
                raise self._too_large()
            return message

        return bounded

    def _too_large(self) -> RpcError:
        return RpcError(
            grpc.StatusCode.RESOURCE_EXHAUSTED, f"A body must have at most {self._most_bytes:,} bytes."
        )


async def _refuse(error: RpcError, send: Any) -> None:
    found = failure(error)
    body = json.dumps({"error": found.message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if error.code is grpc.StatusCode.UNAUTHENTICATED:
        headers.append((b"www-authenticate", b"Bearer"))
    elif found.status in (429, 503):
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": found.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
