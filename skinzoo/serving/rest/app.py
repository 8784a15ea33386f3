"""The ASGI application: one endpoint, around it what every request passes."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import Any

from skinzoo.extras import require
from skinzoo.serving.models import Models
from skinzoo.serving.observing import Call
from skinzoo.serving.rest.admission import RestAdmission
from skinzoo.serving.rest.answer import Answer, answer
from skinzoo.serving.rest.cors import cors
from skinzoo.serving.rest.observing import KEY, Observing
from skinzoo.serving.rest.options import RestOptions
from skinzoo.serving.servable import deadline_exceeded


def middleware(options: RestOptions) -> list[Any]:
    """Return the starlette middleware around every request, the outermost first."""
    from starlette.middleware import Middleware

    # Before all else: a browser asks first whether it may ask, without a token.
    before = [cors()] if options.cors else []
    return [*before, Middleware(RestAdmission, options=options)]


def make_app(models: Models, options: RestOptions, threads: Executor) -> Any:
    """Return the application.

    Args:
        models: What is served.
        options: Its limits.
        threads: Where requests wait for their batch, away from the event loop.

    Raises:
        MissingExtraError: starlette is not installed.
    """
    require("starlette", extra="rest", purpose="--rest-api-port")
    from starlette.applications import Starlette
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import Response
    from starlette.routing import Mount

    async def endpoint(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        path = scope["raw_path"].decode("ascii", "replace")
        call: Call = scope.get(KEY) or Call(entrypoint="REST", api="")

        def work() -> Answer:
            if options.metrics is not None and (request.method, path) == ("GET", options.metrics_path):
                return Answer(options.metrics.page().encode(), media_type="text/plain")
            with call.current():
                return answer(models, request.method, path, body, timeout=options.timeout)

        try:
            found = await asyncio.wait_for(
                asyncio.get_running_loop().run_in_executor(threads, work), options.timeout
            )
        except asyncio.TimeoutError:
            found = Answer.of_error(deadline_exceeded())
        call.code = found.code
        await Response(found.body, found.status, media_type=found.media_type)(scope, receive, send)

    app = Starlette(routes=[Mount("/", app=endpoint)], middleware=middleware(options))
    return Observing(app, options.observers)
