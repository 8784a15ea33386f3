"""How the REST interface is served."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from skinzoo.serving.observing import Observer
from skinzoo.serving.protection import Protection

if TYPE_CHECKING:
    from skinzoo.serving.metrics import Metrics

THREADS = 128
METRICS_PATH = "/monitoring/prometheus/metrics"
"""Where TensorFlow Serving puts the Prometheus page unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class RestOptions:
    """Where and how REST is served; the address to listen on is that of gRPC.

    Args:
        port: Port; 0 for any that is free.
        timeout: Seconds that a request may take.
        threads: Requests that are under way at the same time; most of them wait for their batch.
        cors: Whether pages of any origin may ask from within a browser.
        metrics: What the Prometheus page shows; None for no such page.
        metrics_path: Its path.
        observers: Who is told of requests; those of gRPC where both are served.
        protection: Who may ask, and how much; that of gRPC where both are served.
    """

    port: int = 8501
    timeout: float = 30.0
    threads: int = THREADS
    cors: bool = False
    metrics: Metrics | None = None
    metrics_path: str = METRICS_PATH
    observers: Sequence[Observer] = ()
    protection: Protection = field(default_factory=Protection)
