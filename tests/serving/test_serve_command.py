"""`skinzoo serve`: bad set-ups, and a life from start to SIGTERM."""

import signal
import socket

import grpc
import numpy as np
import pytest
from calls import Stubs, spec
from grpc_health.v1 import health_pb2, health_pb2_grpc
from processes import serving
from saved_models import save_halves
from typer.testing import CliRunner

from skinzoo.cli import app


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    base = tmp_path_factory.mktemp("base")
    save_halves(base / "halves" / "003")
    return base


@pytest.fixture
def refused(monkeypatch, tmp_path):
    """Run a command that must end by itself with an error; return its code and text."""
    monkeypatch.setenv("SKINZOO_HOME", str(tmp_path / "home"))

    def run(*arguments):
        done = CliRunner().invoke(app, ["serve", *map(str, arguments)], env={"COLUMNS": "200"})
        assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
        return done.exit_code, done.stderr

    return run


def test_nothing_was_exported(refused):
    code, text = refused()
    assert code == 5
    assert "skinzoo export RUN" in text


def test_an_empty_base(refused, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    code, text = refused(empty)
    assert (code, "must hold exports" in text, "skinzoo export" in text) == (5, True, True), text
    assert refused(tmp_path / "missing")[0] == 5


@pytest.mark.parametrize("base", ["models", "models/m", "models/m/1"])
def test_a_version_folder_without_a_model(refused, tmp_path, base):
    (tmp_path / "models" / "m" / "1").mkdir(parents=True)
    code, text = refused(tmp_path / base, "--port", 0)
    assert (code, "must hold a saved_model.pb" in text) == (5, True), text


def test_a_corrupt_export(refused, tmp_path, halves):
    version = tmp_path / "m" / "1"
    version.mkdir(parents=True)
    (version / "saved_model.pb").write_bytes(b"\x00damaged")
    code, text = refused(tmp_path / "m", "--port", 0)
    assert (code, "must be a SavedModel" in text) == (5, True), text
    # The graph is there, its weights are not.
    graph = halves / "halves" / "003" / "saved_model.pb"
    (version / "saved_model.pb").write_bytes(graph.read_bytes())
    code, text = refused(tmp_path / "m", "--port", 0)
    assert (code, "must be a SavedModel that loads" in text) == (5, True), text


def test_a_port_in_use(refused, halves):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, text = refused(halves, "--port", taken.getsockname()[1])
    assert (code, "Received: Address already in use." in text, "--port" in text) == (6, True, True), text
    code, text = refused(halves, "--host", "192.0.2.1", "--port", 0, "--allow-insecure")
    assert (code, "Cannot assign requested address" in text) == (6, True), text


def test_a_failing_warmup_record_fails_the_load(refused, halves, tmp_path):
    import tensorflow as tf
    from calls import predict
    from tensorflow_serving.apis import prediction_log_pb2

    version = tmp_path / "m" / "1"
    save_halves(version)
    (version / "assets.extra").mkdir()
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(predict(spec("m"), {"x": ["no number"]}))
    with tf.io.TFRecordWriter(str(version / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        writer.write(log.SerializeToString())
    code, text = refused(tmp_path / "m", "--port", 0)
    assert code == 5
    assert "Warm-up record 1" in text
    assert "to be float but string is provided" in text


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("max_batch_size { value: 8 } allowed_batch_sizes: 2 allowed_batch_sizes: 4", "must equal"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: 8 allowed_batch_sizes: 4", "strictly increasing"),
        ("max_batch_size: 8", "text proto"),
        ("max_batch_size { value: 0 }", "at least 1"),
        ("max_execution_batch_size { value: 4 }", "enable_large_batch_splitting"),
    ],
)
def test_batching_parameters_that_contradict(refused, halves, tmp_path, content, phrase):
    file = tmp_path / "batching.pbtxt"
    file.write_text(content)
    code, text = refused(halves, "--enable_batching=true", f"--batching_parameters_file={file}")
    assert (code, phrase in text) == (2, True), text
    code, text = refused(halves, "--batching-parameters-file", file)
    assert (code, "must come with --enable-batching" in text) == (2, True), text


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ('model_config_list { config { name: "m" base_path: "relative" } }', "absolute path"),
        ("model_config_list { config { } }", "must have a name"),
        ("nothing", "text proto"),
        ("", "model_config_list"),
        ('model_config_list { config { name: "m" base_path: "/m" model_platform: "onnx" } }', "platform"),
    ],
)
def test_model_configurations_that_cannot_be_honoured(refused, tmp_path, content, phrase):
    file = tmp_path / "models.config"
    file.write_text(content)
    code, text = refused("--model-config-file", file)
    assert (code, phrase in text) == (2, True), text


def test_models_given_in_two_ways(refused, halves, tmp_path):
    code, text = refused(halves, "--model-config-file", tmp_path / "models.config")
    assert (code, "in one way" in text) == (2, True), text


def test_a_server_from_start_to_stop(halves, tmp_path):
    """A process of its own: options as TensorFlow Serving spells them, versions, health, SIGTERM."""
    config = tmp_path / "models.config"
    config.write_text(
        f"""model_config_list {{ config {{
            name: "m" base_path: "{halves / "halves"}" model_platform: "tensorflow"
            model_version_policy {{ specific {{ versions: 3 }} }}
            version_labels {{ key: "stable" value: 3 }}
        }} }}"""
    )
    options = (f"--model_config_file={config}", "--enable_batching=true", "--enable_model_warmup=false")
    with serving(*options, home=tmp_path) as (server, address, said):
        assert any("m version 3, SavedModel, batched" in line for line in said), said
        stubs = Stubs(address)
        assert stubs.run(spec("m", label="stable"), {"x": np.float32([4])})["y"].tolist() == [4.0]
        health = health_pb2_grpc.HealthStub(stubs.channel)
        for service in ("", "tensorflow.serving.PredictionService", "skinzoo.v1.LesionClassifier"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=60)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        server.send_signal(signal.SIGTERM)
        rest = server.stderr.read()
        assert (server.wait(timeout=60), "Stopped." in rest) == (0, True), rest
        with pytest.raises(grpc.RpcError):
            stubs.run(spec("m"), {"x": np.float32([4])})
