"""The gRPC server."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

from skinzoo.errors import ServingError
from skinzoo.quiet import silenced
from skinzoo.serving import model_service, prediction_service, typed
from skinzoo.serving.admission import ASIDE, Admission, ClientLimit, CountedPool
from skinzoo.serving.backend import RemoteModels
from skinzoo.serving.interceptor import Observing
from skinzoo.serving.limits import Limits
from skinzoo.serving.models import Models
from skinzoo.serving.observing import Observer
from skinzoo.serving.protection import LARGEST_MESSAGE, Protection
from skinzoo.serving.rest.options import RestOptions
from skinzoo.serving.tls import check_exposed

if TYPE_CHECKING:
    from skinzoo.serving.rest.server import RestServer

THREADS = 128
# Calls that have come and that no thread has looked at yet. gRPC's own limits, a tenth of these, are met
# within a second of overload, and what is beyond them it ends as CANCELLED, which no client tries again.
_UNSEEN_CALLS = 10_000
_MOST_UNSEEN_CALLS = 30_000
# TensorFlow Serving's names of services for health checks.
_SHORT_NAMES = ("PredictionService", "ModelService")


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Where and how a server listens.

    Args:
        host: Address to listen on.
        port: Port; 0 for any that is free.
        socket_path: Path of a Unix socket besides; None for none.
        threads: Calls that are under way at the same time; most of them wait for their batch.
        channel_arguments: Further options of gRPC.
        as_content: Answer Predict with `tensor_content` instead of typed fields.
        rest: How REST is served besides; None for not at all.
        protection: Who may call, and how much.
        observers: Who is told of calls.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    socket_path: str | None = None
    threads: int = THREADS
    channel_arguments: Sequence[tuple[str, str | int]] = ()
    as_content: bool = False
    rest: RestOptions | None = None
    protection: Protection = field(default_factory=Protection)
    observers: Sequence[Observer] = ()


class Server:
    """All services on one port, which is taken at once; calls are answered from `start` on.

    Args:
        models: What is served. Models of a remote server are served by the typed service alone.
        options: Where and how.
        limits: What a request to the typed service may ask for, instead of the options' own.

    Raises:
        UsageError: Other machines could reach it without TLS, which was not allowed.
        ServingError: The port cannot be had.
    """

    def __init__(
        self,
        models: Models | RemoteModels,
        options: ServerOptions | None = None,
        *,
        limits: Limits | None = None,
    ) -> None:
        options = options or ServerOptions()
        protection = options.protection
        self._observers = options.observers
        check_exposed(options.host, tls=protection.tls is not None, allowed=protection.allow_insecure)
        pool = CountedPool(options.threads)
        clients = ClientLimit(protection.per_client)
        calls = protection.most_calls(options.threads)
        self._server = grpc.server(
            pool,
            interceptors=[
                Observing(options.observers),
                Admission(pool, calls, tokens=protection.tokens, clients=clients),
            ],
            options=[
                ("grpc.max_receive_message_length", protection.message_bytes),
                ("grpc.max_send_message_length", LARGEST_MESSAGE),
                # Otherwise a second server on the port would take half of the calls.
                ("grpc.so_reuseport", 0),
                ("grpc.server.max_pending_requests", _UNSEEN_CALLS),
                ("grpc.server.max_pending_requests_hard_limit", _MOST_UNSEEN_CALLS),
                *options.channel_arguments,
            ],
        )
        self._services: tuple[str, ...] = (typed.SERVICE_NAME,)
        self._models = models
        self._started = False
        if isinstance(models, Models):
            self._add_services_of_tensorflow(models, options)
            models.listen(self._tell_health)
        typed.add_typed_service(self._server, models, limits=limits or protection.limits)
        self._health = health.HealthServicer(experimental_thread_pool=ASIDE)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._set_health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.host = options.host
        credentials = protection.tls.credentials() if protection.tls is not None else None
        self.port = self._listen(_authority(options.host, options.port), credentials)
        if options.socket_path is not None:
            self._listen(f"unix:{options.socket_path}")
        self.rest: RestServer | None = None
        if options.rest is not None and isinstance(models, Models):
            from skinzoo.serving.rest.server import RestServer

            rest = replace(options.rest, protection=protection, observers=options.observers)
            self.rest = RestServer(models, options.host, rest)

    @property
    def address(self) -> str:
        """Return where it listens, as a client names it."""
        return _authority(self.host, self.port)

    def start(self) -> None:
        """Answer calls."""
        self._server.start()
        if self.rest is not None:
            self.rest.start()
        self._started = True
        self._tell_health()

    def leave(self) -> None:
        """Say NOT_SERVING from now on, and go on answering: who balances load sends calls elsewhere."""
        self._health.enter_graceful_shutdown()

    def stop(self, grace: float | None = None) -> None:
        """Take no more calls, and return when those under way are answered or `grace` seconds are over."""
        self.leave()
        if self.rest is not None:
            self.rest.stop(grace)
        self._server.stop(grace).wait()
        if self.rest is not None:
            self.rest.wait()
        for observer in self._observers:
            observer.close()

    def _tell_health(self) -> None:
        """Say SERVING while there is something that answers."""
        response = health_pb2.HealthCheckResponse
        answers = self._started and (not isinstance(self._models, Models) or bool(self._models.available()))
        self._set_health(response.SERVING if answers else response.NOT_SERVING)

    def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        for service in ("", *self._services):
            self._health.set(service, status)

    def _add_services_of_tensorflow(self, models: Models, options: ServerOptions) -> None:
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            prediction_service.PredictionService(models, as_content=options.as_content), self._server
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            model_service.ModelService(models, options.protection.bases), self._server
        )
        self._services += (prediction_service.SERVICE_NAME, model_service.SERVICE_NAME, *_SHORT_NAMES)

    def _listen(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        try:
            # gRPC writes a line of its own for an address that it cannot have.
            with silenced():
                if credentials is not None:
                    return self._server.add_secure_port(address, credentials)
                return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ServingError(
                f"A server must be able to listen on {address}. Received: {_cause(address)}.",
                hint="Choose another port with --port, or 0 for any that is free.",
            ) from error


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cause(address: str) -> str:
    """Return why an address cannot be had, which gRPC does not tell."""
    host, _, port = address.rpartition(":")
    if host == "unix":
        return "a path where no socket can be made"
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(where)
    except OSError as error:
        return error.strerror or str(error)
    return "an address that gRPC refuses"
