"""Telling of requests that come through REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from skinzoo.serving.observing import Call, Observer
from skinzoo.serving.rest.errors import HTTP_STATUS
from skinzoo.serving.rest.paths import parse
from skinzoo.serving.status import RpcError

KEY = "skinzoo.call"
"""Where a request's call is found in its scope."""
_TRACE_HEADERS = (b"traceparent", b"tracestate")
_CODES = {status: code for code, status in reversed(HTTP_STATUS.items())}
# Calls that are about no request: TensorFlow Serving gives them no name.
_UNNAMED = ("status", "metadata")


class Observing:
    """Middleware that tells of every request to a model, refused ones too; it comes before all others.

    Args:
        app: What answers.
        observers: Who is told.
    """

    def __init__(self, app: Any, observers: Sequence[Observer]) -> None:
        self._app = app
        self._observers = observers

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        call = self._call(scope)
        if call is None:
            await self._app(scope, receive, send)
            return
        status = 499

        async def noting(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        call.start()
        try:
            await self._app({**scope, KEY: call}, receive, noting)
        except BaseException:
            status = 500
            raise
        finally:
            # The status of HTTP stands for several codes; where a call failed by itself it has its own.
            same = HTTP_STATUS[call.code] == status
            call.finish(call.code if same else _CODES.get(status, grpc.StatusCode.UNKNOWN))

    def _call(self, scope: Any) -> Call | None:
        if scope["type"] != "http" or not self._observers:
            return None
        try:
            target = parse(scope["method"], scope["raw_path"].decode("ascii", "replace"))
        except RpcError:
            return None
        headers = {
            name.decode(): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _TRACE_HEADERS
        }
        return Call(
            entrypoint="REST",
            api="" if target.api in _UNNAMED else target.api,
            model=target.name,
            observers=self._observers,
            headers=headers,
        )
