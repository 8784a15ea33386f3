"""What a server tells those who watch it: metrics, logs and traces of requests through REST and gRPC."""

import concurrent.futures
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from calls import Stubs, predict, spec
from prometheus_client.parser import text_string_to_metric_families
from rest_calls import Rest
from saved_models import save_halves
from typer.testing import CliRunner

from skinzoo.cli import app
from skinzoo.serving.folders import find_models
from skinzoo.serving.logs import CallLog, JsonFormatter
from skinzoo.serving.metrics import Metrics
from skinzoo.serving.rest.options import METRICS_PATH, RestOptions
from skinzoo.serving.servable import LoadOptions
from skinzoo.serving.serve import ServeRequest, serving
from skinzoo.serving.server import ServerOptions

PREDICT = "/v1/models/halves:predict"
SECRET = "a patient of forty-two"
CODE_OF_THE_COLLECTOR = "opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    save_halves(base / "halves" / "1")
    return base


def running(base, *observers, metrics=None):
    rest = RestOptions(port=0, metrics=metrics)
    options = ServerOptions(port=0, rest=rest, observers=observers)
    return serving(
        ServeRequest(sources=find_models([base]), server=options, load=LoadOptions(enable_batching=True))
    )


def samples(page):
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(page)
        for one in family.samples
    }


def test_metrics(base):
    metrics = Metrics()
    with running(base, metrics, metrics=metrics) as (server, _):
        rest, stubs = Rest(server.rest.address), Stubs(server.address)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: rest.post(PREDICT, {"instances": [1.0] * (n % 3 + 1)}), range(12)))
        stubs.run(spec("halves"), {"x": np.float32([1, 2])})
        stubs.failure("Predict", predict(spec("halves"), {"x": ["a"]}))
        rest.failure("POST", "/v1/models/made up by a caller:predict".replace(" ", "%20"), {"instances": [1]})
        rest.post(
            "/v1/models/halves:regress",
            {"signature_name": "regress_x_to_y", "examples": [{"x": 1.0}, {"x": 2.0}]},
        )
        status, headers, page = rest.raw("GET", METRICS_PATH)
    page = page.decode()
    assert (status, headers["content-type"].startswith("text/plain")) == (200, True)
    assert "# TYPE :tensorflow:serving:request_count counter\n" in page
    assert "made" not in page
    found = samples(page)

    def value(name, **labels):
        return found[name, tuple(sorted(labels.items()))]

    served = ":tensorflow:serving:"
    # The parser gives counters an ending that TensorFlow Serving's do not have on the page.
    assert value(f"{served}request_count_total", model_name="halves", status="OK") == 14
    assert value(f"{served}request_count_total", model_name="halves", status="INVALID_ARGUMENT") == 1
    assert value(f"{served}request_count_total", model_name="", status="NOT_FOUND") == 1
    labels = {"model_name": "halves", "API": "predict", "entrypoint": "REST"}
    assert value(f"{served}request_latency_count", **labels) == 12
    # TensorFlow Serving's own limits of buckets.
    assert value(f"{served}request_latency_bucket", **labels, le="1.27482e+06") <= 12
    assert value(f"{served}request_latency_bucket", **labels, le="+Inf") == 12
    assert value(f"{served}request_latency_count", **{**labels, "API": "Predict", "entrypoint": "GRPC"}) == 1
    runtime = {"model_name": "halves", "API": "predict", "runtime": "tensorflow"}
    assert value(f"{served}runtime_latency_count", **runtime) == 12
    assert value(f"{served}request_example_count_total", model="halves") == 2
    queue = f"{served}batching_session:"
    assert value(f"{queue}queuing_latency_count", thread_pool_name="halves") == 14
    assert value(f"{queue}input_batch_size_sum", model_name="halves") == 24 + 2 + 2
    # Every batch is counted once, however many requests were in it.
    assert value(f"{queue}processed_batch_size_sum", model_name="halves") == 24 + 2 + 2
    batches = value(f"{queue}processed_batch_size_count", model_name="halves")
    assert 3 <= batches <= 14
    engine = {"model_name": "halves", "engine": "tensorflow"}
    assert value(":skinzoo:serving:engine_latency_count", **engine) == batches
    runs = sum(one for (name, _), one in found.items() if name == f"{served}runtime_latency_sum")
    assert 0 < value(":skinzoo:serving:engine_latency_sum", **engine) < runs
    assert value(":skinzoo:serving:requests_under_way", entrypoint="REST") == 0


def test_logs_hold_nothing_that_came_with_a_request(base):
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("skinzoo")
    log.addHandler(handler)
    level = log.level
    log.setLevel(logging.INFO)
    try:
        with running(base, CallLog()) as (server, _):
            rest, stubs = Rest(server.rest.address), Stubs(server.address)
            rest.post(PREDICT, {"instances": [{"x": 1}, {"x": 2}]})
            rest.failure("POST", PREDICT, {"instances": [SECRET]})
            rest.failure("POST", "/v1/models/secret:predict", {"instances": [SECRET]})
            stubs.failure("Predict", predict(spec("halves", signature=SECRET), {"x": [SECRET]}))
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    calls = [line for line in lines if line["message"] == "call"]
    assert [(line["entrypoint"], line["code"]) for line in calls] == [
        ("REST", "OK"), ("REST", "INVALID_ARGUMENT"), ("REST", "NOT_FOUND"), ("GRPC", "FAILED_PRECONDITION"),
    ]  # fmt: skip
    assert (calls[0]["model"], calls[0]["version"], calls[0]["rows"]) == ("halves", 1, 2)
    assert calls[0]["seconds"] >= calls[0]["waited"] >= 0
    assert "patient" not in written.getvalue()
    assert "secret" not in written.getvalue()


def test_traces_reach_a_collector(base, monkeypatch):
    pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry is absent: skinzoo[otel]")
    generated = pytest.importorskip(CODE_OF_THE_COLLECTOR)
    import grpc
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    from skinzoo.serving.traces import Traces

    received = []

    class Collector(generated.TraceServiceServicer):
        def Export(self, request, context):
            received.extend(
                span
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            )
            return trace_service_pb2.ExportTraceServiceResponse()

    collector = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    generated.add_TraceServiceServicer_to_server(Collector(), collector)
    port = collector.add_insecure_port("127.0.0.1:0")
    collector.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    trace = "0af7651916cd43dd8448eb211c80319c"
    try:
        with running(base, Traces()) as (server, _):
            headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}
            rest = Rest(server.rest.address)
            assert rest.raw("POST", PREDICT, b'{"instances": [1, 2]}', headers)[0] == 200
            rest.failure("POST", PREDICT, {"instances": [SECRET]})
    finally:
        collector.stop(None).wait()
    spans = {(span.name, span.trace_id.hex() == trace): span for span in received}
    call, run = spans["REST predict", True], spans["run", True]
    assert call.parent_span_id.hex() == "b7ad6b7169203331"
    assert run.parent_span_id == call.span_id
    assert call.start_time_unix_nano <= run.start_time_unix_nano
    attributes = {one.key: one.value for one in run.attributes}
    assert attributes["skinzoo.batch_sizes"].array_value.values[0].int_value == 2
    failed = spans["REST predict", False]
    assert failed.status.code == 2
    assert SECRET not in str(received)


@pytest.fixture
def refused(base):
    def run(*arguments):
        done = CliRunner().invoke(app, ["serve", str(base), "--port=0", *arguments], env={"COLUMNS": "200"})
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return done.exit_code, done.stderr

    return run


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("prometheus_config { enable: maybe }", "text proto of MonitoringConfig"),
        ('prometheus_config { enable: true path: "metrics" }', "must begin with '/'"),
    ],
)
def test_monitoring_configurations_that_cannot_be_honoured(refused, tmp_path, content, phrase):
    file = tmp_path / "monitoring.config"
    file.write_text(content)
    code, text = refused("--rest_api_port=-1", f"--monitoring_config_file={file}")
    assert (code, phrase in text) == (2, True), text
    code, text = refused(f"--monitoring_config_file={file}")
    assert (code, "must come with --rest-api-port" in text) == (2, True), text


def test_options_that_do_not_fit(refused, monkeypatch):
    code, text = refused("--log-format=jsn")
    assert (code, "Did you mean 'json'?" in text) == (2, True), text
    # As on a machine without the extras.
    for module, option, extra in (
        ("starlette", "--rest-api-port=-1", "rest"), ("opentelemetry.trace", "--enable-tracing", "otel"),
    ):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            code, text = refused(option)
        assert (code, f'pip install "skinzoo[{extra}]"' in text) == (2, True), text


def test_rest_is_imported_only_where_it_is_served():
    code = (
        "import sys, skinzoo.serving.serve, skinzoo.cli.monitoring; "
        "print({'starlette', 'uvicorn', 'prometheus_client', 'opentelemetry.sdk'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_server_with_everything_from_start_to_stop(base, tmp_path):
    """A process of its own: REST, its metrics, a Unix socket, a log of JSON objects alone, SIGTERM."""
    config = tmp_path / "monitoring.config"
    config.write_text('prometheus_config { enable: true path: "/metrics" }')
    socket = tmp_path / "grpc.sock"
    server = subprocess.Popen(
        [sys.executable, "-m", "skinzoo", "serve", str(base), "--port=0", "--rest_api_port=-1",
         "--rest_api_timeout_in_ms=60000", f"--monitoring_config_file={config}",
         f"--grpc_socket_path={socket}", "--log-format=json"],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"SKINZOO_HOME": str(tmp_path)},
    )  # fmt: skip
    try:
        ready = None
        for line in server.stderr:
            if ready := re.search(r"REST on (127\.0\.0\.1:\d+)", json.loads(line)["message"]):
                break
        assert ready is not None
        rest, stubs = Rest(ready[1]), Stubs(f"unix:{socket}")
        expected = {"predictions": [{"twice": 2.0, "y": 2.5}]}
        assert rest.post(PREDICT, {"instances": [1.0]}) == expected
        assert stubs.run(spec("halves"), {"x": np.float32([1])})["y"].tolist() == [2.5]
        assert b'request_count{model_name="halves",status="OK"} 2\n' in rest.raw("GET", "/metrics")[2]
        assert rest.raw("GET", METRICS_PATH)[0] == 404
        server.send_signal(signal.SIGTERM)
        lines = [json.loads(line) for line in server.stderr]
        assert server.wait(timeout=60) == 0
        assert [line["entrypoint"] for line in lines if line["message"] == "call"] == ["REST", "GRPC"]
        assert "Stopped." in [line["message"] for line in lines]
        assert not socket.exists()
    finally:
        server.kill()
        server.wait()
        server.stderr.close()
