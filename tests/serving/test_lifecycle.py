"""Versions that come and go while a real server process answers on a real socket."""

import shutil
import signal
import time
from contextlib import contextmanager

import grpc
import numpy as np
import pytest
from calls import predict, spec
from google.protobuf import text_format
from grpc_health.v1 import health_pb2
from living import Asked, callers, drop, living
from saved_models import save_halves, save_odd
from tensorflow_serving.apis import model_management_pb2
from typer.testing import CliRunner

from skinzoo.cli import app
from skinzoo.serving.config import read_config
from skinzoo.serving.folders import find_models
from skinzoo.serving.serve import ServeRequest, serving
from skinzoo.serving.server import ServerOptions
from skinzoo.serving.watching import Watching

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
LOADING, AVAILABLE, END = 20, 30, 50
POLL = "--file_system_poll_wait_seconds=0.1"
X = {"x": np.float32([0])}
# Memory of a process is not exact: allocators keep pages, and a graph of TensorFlow costs about 1 MiB.
# Twenty versions that stayed would be far above this, as one process takes about 500 MiB before the first.
TOLERANCE_MIB = 40
# gRPC starts and ends threads of its own as calls come and go.
TOLERANCE_THREADS = 8


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Version folders to copy: number to folder, answering 0 with their number."""
    folder = tmp_path_factory.mktemp("saved")
    return [save_halves(folder / str(number), float(number)) for number in range(1, 4)]


@pytest.fixture
def base(tmp_path, saved):
    base = tmp_path / "m"
    base.mkdir()
    drop(saved[0], base, 1)
    return base


@pytest.mark.parametrize(
    ("times", "many"), [(3, 8), pytest.param(20, 32, marks=pytest.mark.slow, id="20-32")]
)
def test_new_versions_under_load(base, saved, tmp_path, times, many, record_property):
    options = (POLL, "--enable-batching", "--grpc-max-threads=64")
    with (
        living(base, *options, home=tmp_path) as server,
        callers(server.address, many, spec("m"), X) as (versions, failures),
    ):
        levels = []
        for number in range(2, times + 2):
            drop(saved[number % 3], base, number)
            server.until(lambda number=number: number in versions or failures)
            server.until(lambda number=number: server.states("m")[number - 1][0] == END)
            levels.append(server.sizes())
        assert failures == []
    assert sorted(set(versions)) == list(range(1, times + 2))
    # The second version needs queues beside those of the first, and from then on they are used in turn.
    (threads, memory), (threads_at_end, memory_at_end) = levels[1], levels[-1]
    record_property("threads and MiB after each version", levels)
    assert threads_at_end <= threads + TOLERANCE_THREADS, levels
    assert memory_at_end <= memory + TOLERANCE_MIB, levels


def test_a_version_that_is_copied_slowly_fails_and_is_mended(base, saved, tmp_path):
    """Half a copy is not touched; a damaged version is tried again, told of, and disturbs nothing."""
    retries = ("--max_num_load_retries=1", "--load_retry_interval_micros=300000")
    with living(base, POLL, *retries, home=tmp_path) as server:
        # The graph first, the weights after several looks.
        (base / "2").mkdir()
        shutil.copy(saved[1] / "saved_model.pb", base / "2")
        (base / "2" / "variables").mkdir()
        time.sleep(0.6)
        assert server.states("m") == {1: (AVAILABLE, "")}
        for path in (saved[1] / "variables").iterdir():
            shutil.copy(path, base / "2" / "variables")
        server.until(lambda: server.states("m").get(2) == (AVAILABLE, ""))
        server.until(lambda: server.states("m")[1][0] == END)
        assert server.offset() == 2.0

        (base / "3").mkdir()
        (base / "3" / "saved_model.pb").write_bytes(b"\x00damaged")
        server.wait_for("Loading m version 3 failed; again in 0.3 s")
        state, error = server.states("m")[3]
        assert (state in (LOADING, END), "must be a SavedModel" in error) == (True, True), error
        server.wait_for("Loading m version 3 failed:")
        state, error = server.states("m")[3]
        assert (state, "must be a SavedModel" in error) == (END, True)
        assert (server.offset(), server.health()) == (2.0, SERVING)
        # It was given up, and is taken up again when it changes.
        shutil.rmtree(base / "3")
        drop(saved[2], base, 3)
        server.until(lambda: server.states("m")[3] == (AVAILABLE, ""))
        server.until(lambda: server.states("m")[2][0] == END)
        assert server.offset() == 3.0
        # The newest is taken away: the one before comes back.
        shutil.rmtree(base / "3")
        server.until(lambda: server.states("m")[2] == (AVAILABLE, ""))
        # Nothing is there any more, as when a disk is: what answers goes on.
        shutil.rmtree(base)
        server.wait_for("Could not find any version of model m")
        assert server.offset() == 2.0


def config_of(base, versions, labels=None):
    policy = " ".join(f"versions: {one}" for one in versions)
    named = " ".join(f'version_labels {{ key: "{k}" value: {v} }}' for k, v in (labels or {}).items())
    return f"""model_config_list {{ config {{
        name: "m" base_path: "{base}" model_platform: "tensorflow"
        model_version_policy {{ specific {{ {policy} }} }} {named}
    }} }}"""


def test_a_configuration_that_changes(base, saved, tmp_path):
    file = tmp_path / "models.config"
    file.write_text(config_of(base, [1], {"stable": 1}))
    drop(saved[1], base, 2)
    polls = ("--model_config_file_poll_wait_seconds=0.1", "--file_system_poll_wait_seconds=0")
    with living(f"--model_config_file={file}", *polls, home=tmp_path) as server:
        assert server.states("m") == {1: (AVAILABLE, "")}
        file.write_text(config_of(base, [1, 2], {"stable": 1}))
        server.until(lambda: server.states("m").get(2) == (AVAILABLE, ""))
        assert server.offset(label="stable") == 1.0
        file.write_text("model_config_list { config { name:")
        server.wait_for("must be a text proto of ModelServerConfig")
        file.unlink()
        server.wait_for("must be readable")
        assert (server.offset(label="stable"), server.offset(), server.health()) == (1.0, 2.0, SERVING)
        # A label for a version that there is not stays where it was.
        file.write_text(config_of(base, [1, 2], {"stable": 9}))
        server.wait_for("Request to assign label stable to version 9")
        assert server.offset(label="stable") == 1.0
        file.write_text(config_of(base, [2], {"stable": 2}))
        server.until(lambda: server.states("m")[1][0] == END)
        assert server.offset(label="stable") == 2.0
        # With 0 no folder is looked at a second time.
        drop(saved[2], base, 3)
        # The same number in another folder.
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        drop(saved[2], elsewhere, 2)
        file.write_text(config_of(elsewhere, [2], {"stable": 2}))
        server.until(lambda: server.offset(label="stable") == 3.0)
        # A reload request may name the folder that the file named.
        request = model_management_pb2.ReloadConfigRequest()
        text_format.Parse(file.read_text(), request.config)
        assert server.stubs.call("HandleReloadConfigRequest", request).status.error_code == 0
        file.write_text(config_of(base, [2], {"stable": 2}))
        server.until(lambda: server.offset(label="stable") == 2.0)
        # No model at all is a configuration too.
        file.write_text("model_config_list { }")
        server.until(lambda: server.health() == NOT_SERVING)
        assert server.stubs.failure("Predict", predict(spec("m"), X))[0] is grpc.StatusCode.NOT_FOUND
        file.write_text(config_of(base, [2]))
        server.until(lambda: server.health() == SERVING)
        assert server.offset() == 2.0


@contextmanager
def nearby(base, **how):
    """A server in this process, which is ready sooner."""
    sources = read_config(base) if base.is_file() else find_models([base])
    request = ServeRequest(sources=sources, server=ServerOptions(port=0), **how)
    with serving(request) as (server, _):
        yield Asked(server.address)


def test_folders_that_are_never_looked_at(base):
    with nearby(base, watching=Watching(folders=-1)) as server:
        assert server.health() == NOT_SERVING
        assert server.stubs.failure("Predict", predict(spec("m"), X))[0] is grpc.StatusCode.NOT_FOUND


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A base whose signature `slow` takes moments."""
    base = tmp_path_factory.mktemp("slow") / "odd"
    save_odd(base / "1")
    return base


def asked(server, rows):
    """Begin calls that take a while, and return them once the server has them."""
    request = predict(spec("odd", signature="slow"), {"x": [1.0]})
    pending = [server.stubs.prediction.Predict.future(request, timeout=300) for _ in range(rows)]
    time.sleep(1)
    return pending


def test_calls_that_were_taken_are_answered_before_the_end(odd, tmp_path):
    options = ("--drain-seconds=120", "--lame-duck-seconds=1")
    with living(odd, *options, home=tmp_path) as server:
        server.stubs.run(spec("odd", signature="slow"), {"x": np.float32([1])})
        pending = asked(server, 4)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("Stopping")
        # Who balances load sees it while calls are still taken.
        assert server.health() == NOT_SERVING
        pending += [server.stubs.prediction.Predict.future(predict(spec("odd"), {"x": [[1.0]]}), timeout=300)]
        assert [one.exception(timeout=300) for one in pending] == [None] * 5
        server.wait_for("Stopped.")
        assert server.process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    ("seconds", "signals", "code", "phrase"),
    [
        pytest.param(0.2, 1, 0, "Stopped; calls under way were cut off.", marks=pytest.mark.slow, id="time"),
        pytest.param(300, 2, 130, "Stopped before every call was answered.", id="second signal"),
    ],
)
def test_calls_that_are_cut_off(odd, tmp_path, seconds, signals, code, phrase):
    with living(odd, f"--drain-seconds={seconds}", home=tmp_path) as server:
        pending = asked(server, 120)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for("Stopping")
        if signals == 2:
            server.process.send_signal(signal.SIGTERM)
        server.wait_for(phrase)
        assert server.process.wait(timeout=60) == code
        codes = {one.exception(timeout=60).code() for one in pending if one.exception(timeout=60)}
        assert codes
        assert codes <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


def test_promote_and_rollback_under_load(base, saved, tmp_path):
    file = tmp_path / "models.config"
    file.write_text("# Ours.\n" + config_of(base, [1], {"stable": 1}))
    drop(saved[1], base, 2)

    def cli(*arguments):
        return CliRunner().invoke(app, [str(one) for one in arguments])

    with nearby(file) as server:
        told = ("--model-config-file", file, "--server", server.address)
        with callers(server.address, 8, spec("m", label="stable"), X) as (versions, failures):
            server.until(lambda: versions)
            done = cli("promote", "m", 2, *told)
            assert (done.exit_code, done.stdout) == (0, "'stable' of m stands for version 2, before 1.\n")
            assert ["Step 1" in done.stderr, "Step 2" in done.stderr] == [True, True]
            server.until(lambda: 2 in versions)
            done = cli("rollback", "m", *told)
            assert (done.exit_code, done.stdout) == (0, "'stable' of m stands for version 1, before 2.\n")
            seen = len(versions)
            server.until(lambda: len(versions) > seen + 20)
            assert versions[-1] == 1
            # A version that does not load leaves everything as it was.
            before = file.read_text()
            (base / "3").mkdir()
            (base / "3" / "saved_model.pb").write_bytes(b"\x00damaged")
            done = cli("promote", "m", 3, *told)
            assert (done.exit_code, "must be a SavedModel" in done.stderr) == (6, True), done.stderr
            assert "put back" in done.stderr
            assert file.read_text() == before
            assert server.offset(label="stable") == 1.0
        assert failures == []
        assert before.startswith("# Ours.\n")
        assert set(versions) == {1, 2}
