"""Traces of requests, through OpenTelemetry.

Where they go is told by OpenTelemetry's own variables, as OTEL_EXPORTER_OTLP_ENDPOINT and OTEL_SERVICE_NAME.
"""

from __future__ import annotations

import os
from typing import Any

import grpc

from skinzoo.extras import require
from skinzoo.serving.observing import Call, Observer, Run

_SERVICE = "skinzoo"
_NANOSECONDS = 1e9


class Traces(Observer):
    """Makes a span of every request, and within it one of every run.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """

    def __init__(self) -> None:
        def part(module: str) -> Any:
            return require(module, extra="otel", purpose="--enable-tracing")

        self._trace = part("opentelemetry.trace")
        sdk = part("opentelemetry.sdk.trace")
        resource = part("opentelemetry.sdk.resources").Resource.create(
            {"service.name": os.environ.get("OTEL_SERVICE_NAME", _SERVICE)}
        )
        exporter = part("opentelemetry.exporter.otlp.proto.grpc.trace_exporter").OTLPSpanExporter()
        self._provider = sdk.TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(part("opentelemetry.sdk.trace.export").BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("skinzoo.serving")
        self._propagator = part(
            "opentelemetry.trace.propagation.tracecontext"
        ).TraceContextTextMapPropagator()

    def started(self, call: Call) -> None:
        """Begin the span of a request, in the trace of the caller where it sent one."""
        call.notes["span"] = self._tracer.start_span(
            f"{call.entrypoint} {call.api or 'status'}",
            context=self._propagator.extract(call.headers),
            kind=self._trace.SpanKind.SERVER,
            attributes={"rpc.system": call.entrypoint.lower(), "rpc.method": call.api},
            start_time=_nanoseconds(call.began),
        )

    def ran(self, call: Call, run: Run) -> None:
        """Make a span of a run."""
        span = self._tracer.start_span(
            "run",
            context=self._trace.set_span_in_context(call.notes["span"]),
            attributes={
                "skinzoo.model": run.model,
                "skinzoo.version": run.version,
                "skinzoo.engine": run.engine,
                "skinzoo.rows": run.rows or 0,
                "skinzoo.waited": [batch.waited for batch in run.batches],
                "skinzoo.batch_sizes": [batch.size for batch in run.batches],
                "skinzoo.batch_seconds": [batch.seconds for batch in run.batches],
            },
            start_time=_nanoseconds(run.began),
        )
        span.end(_nanoseconds(run.began + run.seconds))

    def finished(self, call: Call) -> None:
        """End the span of a request."""
        span = call.notes["span"]
        span.set_attribute("rpc.status", call.code.name)
        if call.version is not None:
            span.set_attributes({"skinzoo.model": call.model, "skinzoo.version": call.version})
        if call.code is not grpc.StatusCode.OK:
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(_nanoseconds(call.began + call.seconds))

    def close(self) -> None:
        """Send what is not yet sent."""
        self._provider.shutdown()


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)
