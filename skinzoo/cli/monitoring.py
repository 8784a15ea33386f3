"""The options of `skinzoo serve` for REST and for those who watch a server."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skinzoo.cli import render
from skinzoo.errors import UsageError, one_of

if TYPE_CHECKING:
    from skinzoo.serving.observing import Observer
    from skinzoo.serving.rest.options import RestOptions

RestApiPort = Annotated[
    int, typer.Option(min=-1, max=65535, help="Port of REST; 0 for no REST, -1 for any free one.")
]
RestApiTimeout = Annotated[int, typer.Option(min=1, help="Milliseconds that a request of REST may take.")]
RestApiThreads = Annotated[
    int, typer.Option(min=1, help="Requests of REST at the same time; most wait for their batch.")
]
RestApiCors = Annotated[
    bool,
    typer.Option(
        "--rest-api-enable-cors-support/--no-rest-api-enable-cors-support",
        help="Let pages of any origin ask REST from within a browser.",
        show_default=False,
    ),
]
MonitoringConfigFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A text proto of MonitoringConfig: the Prometheus page of REST."),
]
LogFormat = Annotated[
    str, typer.Option(metavar="FORMAT", help="text, or json for an object a line and a line a call.")
]
EnableTracing = Annotated[
    bool,
    typer.Option(
        "--enable-tracing/--no-enable-tracing",
        help="Send traces through OpenTelemetry, to OTEL_EXPORTER_OTLP_ENDPOINT.",
        show_default=False,
    ),
]


def check(*, rest_api_port: int, monitoring_config_file: Path | None, backend: str | None) -> None:
    """Check that options fit together.

    Raises:
        UsageError: They do not.
    """
    if rest_api_port and backend is not None:
        raise UsageError(
            "`--rest-api-port` must come without --backend. Received: both.",
            hint="TensorFlow Serving has REST of its own.",
        )
    if monitoring_config_file is not None and not rest_api_port:
        raise UsageError(
            "`--monitoring-config-file` must come with --rest-api-port, which serves its page. "
            "Received: it alone.",
            hint="Add --rest-api-port 8501.",
        )


def rest_options(
    port: int, timeout_in_ms: int, monitoring_config_file: Path | None, *, threads: int, cors: bool
) -> RestOptions | None:
    """Return how REST is served; None for not at all.

    Args:
        port: Its port; 0 for no REST, -1 for any free port.
        timeout_in_ms: Milliseconds that a request may take.
        monitoring_config_file: What the Prometheus page is enabled with.
        threads: Requests at the same time.
        cors: Whether pages of other origins may ask.

    Raises:
        UsageError: The file cannot be honoured.
        MissingExtraError: What serves REST is not installed.
    """
    from skinzoo.extras import require
    from skinzoo.serving.metrics import Metrics
    from skinzoo.serving.monitoring import read_monitoring
    from skinzoo.serving.rest.options import METRICS_PATH, RestOptions

    if not port:
        return None
    for module in ("starlette", "uvicorn"):
        require(module, extra="rest", purpose="--rest-api-port")
    page = read_monitoring(monitoring_config_file) if monitoring_config_file is not None else None
    return RestOptions(
        port=max(port, 0),
        timeout=timeout_in_ms / 1000,
        threads=threads,
        cors=cors,
        metrics=Metrics() if page is not None else None,
        metrics_path=page or METRICS_PATH,
    )


def observers(rest: RestOptions | None, log_format: str, *, tracing: bool) -> list[Observer]:
    """Return who is told of requests, and write notices as the log is written.

    Args:
        rest: How REST is served, with the metrics.
        log_format: `text` or `json`.
        tracing: Whether traces are sent.

    Raises:
        UsageError: There is no such format.
        MissingExtraError: What sends traces is not installed.
    """
    from skinzoo.serving import logs

    found: list[Observer] = []
    if log_format not in logs.FORMATS:
        raise one_of("--log-format", log_format, logs.FORMATS)
    if rest is not None and rest.metrics is not None:
        found.append(rest.metrics)
    if tracing:
        from skinzoo.serving.traces import Traces

        found.append(Traces())
    if log_format == logs.JSON:
        logs.log_as_json()
        render.notices_to(logging.getLogger("skinzoo.cli.serve"))
        found.append(logs.CallLog())
    return found
