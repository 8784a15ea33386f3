"""What Prometheus is told: TensorFlow Serving's metrics, and those of the engines.

Latencies are in microseconds, as TensorFlow Serving gives them.
"""

from __future__ import annotations

from typing import Any

import grpc

from skinzoo.extras import require
from skinzoo.serving.observing import Call, Observer, Run
from skinzoo.serving.servable import Servable

_PREFIX = ":tensorflow:serving:"
_OURS = ":skinzoo:serving:"
_MICROSECONDS = 1e6
# Calls that TensorFlow Serving does not count.
_UNCOUNTED = frozenset({"GetModelStatus", "GetModelMetadata", "HandleReloadConfigRequest"})
_RENAMED = {f"{_PREFIX}request_count_total": f"{_PREFIX}request_count"}
_WITH_EXAMPLES = frozenset({"classify", "regress", "multiinference"})


def _exponential(scale: float, growth: float, count: int) -> list[float]:
    """Return TensorFlow's bucket limits, with the six digits that it writes."""
    return [float(f"{scale * growth**i:.6g}") for i in range(count)]


_LATENCIES = _exponential(10, 1.8, 33)
_WAITS = _exponential(100, 1.2, 52)
_COUNTS = _exponential(1, 2, 15)


class Metrics(Observer):
    """Counts requests.

    Raises:
        MissingExtraError: prometheus-client is not installed.
    """

    def __init__(self) -> None:
        client: Any = require("prometheus_client", extra="rest", purpose="--monitoring-config-file")
        self._registry = client.CollectorRegistry(auto_describe=False)
        client.ProcessCollector(registry=self._registry)
        # Names that a caller makes up must not become labels, which are kept for ever.
        self._known: set[str] = set()

        def family(kind: Any, name: str, text: str, *labels: str, **more: Any) -> Any:
            return kind(name, text, labels, registry=self._registry, **more)

        counter, histogram = client.Counter, client.Histogram
        self._requests = family(
            counter, f"{_PREFIX}request_count", "The total number of requests.", "model_name", "status"
        )
        self._latency = family(
            histogram, f"{_PREFIX}request_latency", "Wall time of a request (microseconds).",
            "model_name", "API", "entrypoint", buckets=_LATENCIES,
        )  # fmt: skip
        self._runtime = family(
            histogram, f"{_PREFIX}runtime_latency", "Wall time of a run, waiting included (microseconds).",
            "model_name", "API", "runtime", buckets=_LATENCIES,
        )  # fmt: skip
        self._examples = family(
            histogram, f"{_PREFIX}request_example_counts", "Examples of a request.", "model", buckets=_COUNTS
        )
        self._all_examples = family(
            counter, f"{_PREFIX}request_example_count_total", "The total number of examples.", "model"
        )
        self._waits = family(
            histogram, f"{_PREFIX}batching_session:queuing_latency", "Wait for a batch (microseconds).",
            "thread_pool_name", buckets=_WAITS,
        )  # fmt: skip
        self._rows_in = family(
            histogram, f"{_PREFIX}batching_session:input_batch_size", "Rows of a request.",
            "model_name", buckets=_COUNTS,
        )  # fmt: skip
        self._rows_run = family(
            histogram, f"{_PREFIX}batching_session:processed_batch_size", "Rows of a batch, with padding.",
            "model_name", buckets=_COUNTS,
        )  # fmt: skip
        self._warmup = family(
            histogram, f"{_PREFIX}model_warmup_latency", "Wall time of a warm-up (microseconds).",
            "model_path", "status", buckets=_LATENCIES,
        )  # fmt: skip
        self._engine = family(
            histogram, f"{_OURS}engine_latency", "Wall time of a batch in its engine (microseconds).",
            "model_name", "engine", buckets=_LATENCIES,
        )  # fmt: skip
        self._under_way = family(
            client.Gauge, f"{_OURS}requests_under_way", "Requests that are not yet answered.", "entrypoint"
        )

    def loaded(self, servable: Servable) -> None:
        """Take note of a version that has become available."""
        self._known.add(servable.name)
        if servable.warmup_seconds is not None:
            self._warmup.labels(str(servable.path), "OK").observe(servable.warmup_seconds * _MICROSECONDS)

    def started(self, call: Call) -> None:
        """Take note of a request that begins."""
        self._under_way.labels(call.entrypoint).inc()

    def ran(self, call: Call, run: Run) -> None:
        """Take note of a run."""
        model = run.model
        self._known.add(model)
        self._runtime.labels(model, call.api, run.engine).observe(run.seconds * _MICROSECONDS)
        if run.rows is not None and call.api.lower() in _WITH_EXAMPLES:
            self._examples.labels(model).observe(run.rows)
            self._all_examples.labels(model).inc(run.rows)
        if not run.batches:
            self._engine.labels(model, run.engine).observe(run.seconds * _MICROSECONDS)
            return
        self._waits.labels(model).observe(max(one.waited for one in run.batches) * _MICROSECONDS)
        if run.rows is not None:
            self._rows_in.labels(model).observe(run.rows)
        for batch in run.batches:
            if batch.first:
                self._rows_run.labels(model).observe(batch.size)
                self._engine.labels(model, run.engine).observe(batch.seconds * _MICROSECONDS)

    def finished(self, call: Call) -> None:
        """Take note of a request that has ended."""
        self._under_way.labels(call.entrypoint).dec()
        if call.api in _UNCOUNTED:
            return
        model = call.model if call.model in self._known else ""
        self._requests.labels(model, call.code.name).inc()
        if call.code is grpc.StatusCode.OK:
            self._latency.labels(model, call.api, call.entrypoint).observe(call.seconds * _MICROSECONDS)

    def page(self) -> str:
        """Return all metrics in the text format of Prometheus, under TensorFlow Serving's names.

        prometheus-client itself would call a counter `..._total`, and write limits with more digits.
        """
        lines: list[str] = []
        for family in self._registry.collect():
            samples = [one for one in family.samples if not one.name.endswith("_created")]
            # Of counters the family's name lacks the ending of the sample's.
            plain = samples[0].name if family.type == "counter" and samples else family.name
            name = _RENAMED.get(plain, plain)
            lines += [f"# HELP {name} {family.documentation}", f"# TYPE {name} {family.type}"]
            lines += map(_line, samples)
        return "\n".join([*lines, ""])


def _line(sample: Any) -> str:
    labels = ",".join(
        f'{key}="{_limit(value) if key == "le" else _escaped(value)}"' for key, value in sample.labels.items()
    )
    return f"{_RENAMED.get(sample.name, sample.name)}{{{labels}}} {sample.value:.17g}"


def _limit(value: str) -> str:
    return value if value == "+Inf" else f"{float(value):.6g}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
