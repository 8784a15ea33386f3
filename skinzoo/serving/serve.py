"""Running a server: what it serves, until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from skinzoo.machine import cores
from skinzoo.serving.backend import RemoteModels, card_of
from skinzoo.serving.bases import Bases
from skinzoo.serving.engines import TENSORFLOW, openvino_streams
from skinzoo.serving.folders import ModelSource
from skinzoo.serving.models import Models
from skinzoo.serving.servable import LoadOptions, Servable
from skinzoo.serving.server import Server, ServerOptions
from skinzoo.serving.watching import Watcher, Watching

GRACE = 10.0
"""Seconds that calls under way have to end when the server stops, unless told otherwise."""
_CLOSING = 1.0


@dataclass(frozen=True, kw_only=True)
class ServeRequest:
    """What to serve, and how.

    Args:
        sources: The models.
        load: How versions are loaded.
        server: Where and how it listens.
        intra_op_threads: Threads within an operation of TensorFlow; 0 for one a core.
        inter_op_threads: Operations at the same time; 0 for one a core.
        bases: Folders beside the models' own that HandleReloadConfigRequest may load from.
        watching: Where and how often new versions are looked for while it runs.
        grace: Seconds that calls under way have to end when it stops.
    """

    sources: Sequence[ModelSource]
    load: LoadOptions = field(default_factory=LoadOptions)
    server: ServerOptions = field(default_factory=ServerOptions)
    intra_op_threads: int = 0
    inter_op_threads: int = 0
    bases: Sequence[Path] = ()
    watching: Watching = field(default_factory=Watching)
    grace: float = GRACE


@contextmanager
def serving(
    request: ServeRequest, *, loaded: Callable[[Servable], None] = lambda _: None
) -> Iterator[tuple[Server, Models]]:
    """Serve while the body of the `with` runs.

    Args:
        request: What and how.
        loaded: Called with each version that has become available.

    Yields:
        The server, which answers, and its models.

    Raises:
        ServingError: The port cannot be had.
        SkinzooError: A model does not load.
    """
    _set_threads(request)
    observers = request.server.observers

    def available(servable: Servable) -> None:
        for observer in observers:
            observer.loaded(servable)
        loaded(servable)

    protection = request.server.protection
    watching = request.watching
    models = Models(
        options=replace(request.load, limits=protection.limits), loaded=available, retries=watching.retries
    )
    bases = Bases([*request.bases, *(source.base_path for source in request.sources)])
    watcher = Watcher(
        models,
        watching,
        request.sources,
        # What the operator's file names, a reload request may name too.
        taken=lambda sources: bases.add(source.base_path for source in sources),
    )
    # Before models are loaded, which takes long where the port is not to be had.
    server = Server(models, replace(request.server, protection=replace(protection, bases=bases)))
    try:
        if watching.folders >= 0:
            models.apply(request.sources)
        server.start()
        watcher.start()
        yield server, models
    finally:
        watcher.stop()
        server.stop(request.grace)
        # A call that outlasts its time, or a version that is being loaded, must not keep the server.
        models.close(_CLOSING)


@dataclass(frozen=True, kw_only=True)
class BackendRequest:
    """Which TensorFlow Serving to put the typed service in front of.

    Args:
        address: `HOST:PORT` of its gRPC.
        model: Name of its model.
        card: The export's card, or the folder of its version; None where there is none at hand.
        server: Where and how to listen.
    """

    address: str
    model: str
    card: Path | None = None
    server: ServerOptions = field(default_factory=ServerOptions)


@contextmanager
def fronting(request: BackendRequest) -> Iterator[Server]:
    """Serve the typed service in front of a remote server while the body of the `with` runs.

    Raises:
        ServingError: The port cannot be had, or there is no such server or model.
        ModelError: The card cannot be read.
    """
    card = card_of(request.card) if request.card is not None else None
    models = RemoteModels(request.address, request.model, card=card)
    try:
        # TensorFlow fails a whole batch for one image, so each is decoded before it is sent.
        limits = replace(request.server.protection.limits, decode=True)
        server = Server(models, request.server, limits=limits)
        try:
            server.start()
            yield server
        finally:
            server.stop(GRACE)
    finally:
        models.close()


def _set_threads(request: ServeRequest) -> None:
    import tensorflow as tf

    if request.intra_op_threads:
        tf.config.threading.set_intra_op_parallelism_threads(request.intra_op_threads)
    between = request.inter_op_threads
    if not between and request.load.engine.name != TENSORFLOW:
        # A batch in OpenVINO holds one of these threads until it is done; others must go on decoding.
        between = cores() + openvino_streams(request.load.engine.threads)
    if between:
        tf.config.threading.set_inter_op_parallelism_threads(between)
