"""The HTTP server, in a thread of its own."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from skinzoo.errors import ServingError
from skinzoo.extras import require
from skinzoo.serving.models import Models
from skinzoo.serving.rest.app import make_app
from skinzoo.serving.rest.options import RestOptions

_BACKLOG = 2048
# Seconds between looks at whether the server has begun to answer, or has ended without.
_LOOK = 0.01


def uvicorn_config(app: Any, options: RestOptions) -> Any:
    """Return how uvicorn serves the application."""
    uvicorn = require("uvicorn", extra="rest", purpose="--rest-api-port")
    config = uvicorn.Config(
        app,
        # The server's own logging holds no paths and no addresses of clients.
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        backlog=_BACKLOG,
        server_header=False,
    )
    if options.protection.tls is not None:
        # uvicorn itself reads keys from files alone.
        config.load()
        config.ssl = options.protection.tls.context()
    return config


class RestServer:
    """Serves REST on a port, which is taken at once; requests are answered from `start` on.

    Args:
        models: What is served.
        host: Address to listen on.
        options: Port and limits.

    Raises:
        MissingExtraError: starlette or uvicorn is not installed.
        ServingError: The port cannot be had.
    """

    def __init__(self, models: Models, host: str, options: RestOptions) -> None:
        uvicorn = require("uvicorn", extra="rest", purpose="--rest-api-port")
        self._threads = ThreadPoolExecutor(options.threads, thread_name_prefix="rest")
        self._config = uvicorn_config(make_app(models, options, self._threads), options)
        self._server = uvicorn.Server(self._config)
        self._socket = _bound(host, options.port)
        self._thread = threading.Thread(target=self._run, name="rest-server", daemon=True)
        self.host = host
        self.port: int = self._socket.getsockname()[1]

    @property
    def address(self) -> str:
        """Return where it listens, as a client names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def start(self) -> None:
        """Answer requests; returns once the first can come."""
        self._thread.start()
        while not self._server.started:
            self._thread.join(_LOOK)
            if not self._thread.is_alive():
                raise ServingError(f"REST must be able to start on {self.address}. Received: an early end.")

    def stop(self, grace: float | None = None) -> None:
        """Take no more requests, without waiting for those that are under way; see `wait`.

        Args:
            grace: Seconds that these have; None for as long as they take.
        """
        self._config.timeout_graceful_shutdown = grace
        self._server.should_exit = True

    def wait(self) -> None:
        """Return when the requests under way are answered, or their time is over."""
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
        try:
            # A port on which another server listens stays refused.
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            found.bind(where)
        except OSError:
            found.close()
            raise
    except OSError as error:
        raise ServingError(
            f"REST must be able to listen on {host}:{port}. Received: {error.strerror or error}.",
            hint="Choose another port with --rest-api-port, or leave it out for no REST.",
        ) from error
    return found
