"""How the REST interface is served."""

from __future__ import annotations

from dataclasses import dataclass, field

from skinzoo.serving.protection import Protection

METRICS_PATH = "/monitoring/prometheus/metrics"
"""Where TensorFlow Serving puts the Prometheus page unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class RestOptions:
    """Where and how REST is served; the address to listen on is that of gRPC.

    Args:
        port: Port; 0 for any that is free.
        timeout: Seconds that a request may take.
        threads: Requests that are under way at the same time; most of them wait for their batch.
        metrics_path: Path of the Prometheus page; None for no such page.
        protection: Who may ask, and how much; that of gRPC where both are served.
    """

    port: int = 8501
    timeout: float = 30.0
    threads: int = 128
    metrics_path: str | None = None
    protection: Protection = field(default_factory=Protection)
