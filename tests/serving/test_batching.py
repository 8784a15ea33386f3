"""Requests that share batches: nobody gets another's answer, and nobody's mistake harms another."""

import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from calls import Stubs, predict, spec
from saved_models import save_halves, save_odd
from tensorflow_serving.apis import model_management_pb2

from skinzoo.serving.batching import Batching
from skinzoo.serving.folders import ModelSource, Policy
from skinzoo.serving.loading import load
from skinzoo.serving.models import Models
from skinzoo.serving.queues import NAMES
from skinzoo.serving.servable import LoadOptions
from skinzoo.serving.serve import ServeRequest, serving
from skinzoo.serving.server import ServerOptions

# A timeout makes requests meet in batches even where the machine is slow to bring them.
LOAD = LoadOptions(enable_batching=True, batching=Batching(batch_timeout_micros=2000, num_batch_threads=2))
OFFSETS = {("a", 1): 2.0, ("a", 2): 30.0, ("b", 1): 400.0, ("b", 2): 5000.0}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    for (name, version), offset in OFFSETS.items():
        save_halves(base / name / str(version), offset)
    save_odd(base / "odd" / "1")
    return base


@pytest.fixture(scope="module")
def server(base):
    sources = [
        ModelSource(name=name, base_path=base / name, policy=Policy(latest=None))
        for name in ("a", "b", "odd")
    ]
    with serving(ServeRequest(sources=sources, load=LOAD, server=ServerOptions(port=0))) as (server, _):
        yield Stubs(server.address)


def test_two_models_and_two_versions_at_the_same_time_get_their_own_answers(server):
    def ask(number):
        (name, version), offset = list(OFFSETS.items())[number % len(OFFSETS)]
        x = np.arange(number % 3 + 1, dtype=np.float32) + number
        answer = server.run(spec(name, version), {"x": x})
        return np.array_equal(answer["y"], x / 2 + offset) and np.array_equal(answer["twice"], x * 2)

    with ThreadPoolExecutor(32) as pool:
        assert all(pool.map(ask, range(800)))


def test_a_request_that_cannot_join_a_batch_fails_alone(server):
    def ask(number):
        if number % 4:
            return server.run(spec("a", 1), {"x": np.float32([number])})["y"].tolist() == [number / 2 + 2]
        bad = predict(spec("a", 1), {"x": np.float32([[number]])})
        return server.failure("Predict", bad)[0] is grpc.StatusCode.INVALID_ARGUMENT

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(120)))


def test_a_lone_caller_does_not_wait_for_a_batch(base):
    servable = load("a", 1, base / "a" / "1", LoadOptions(enable_batching=True))
    for number in range(5):
        assert servable.run("", {"x": np.float32([number])})["y"].tolist() == [number / 2 + 2]
    servable.close()


def test_queues_of_unloaded_versions_serve_the_next_ones(base):
    def answers(name, version):
        servable = load(name, version, base / name / str(version), LOAD)
        assert servable.run("", {"x": np.float32([8])})["y"].tolist() == [4 + OFFSETS[name, version]]
        servable.close()

    answers("a", 1)
    made = NAMES.made
    for name, version in [*OFFSETS, *OFFSETS]:
        answers(name, version)
    assert NAMES.made == made


def test_other_shapes_are_padded_for_or_refused(base):
    def run(padding):
        batching = Batching(pad_variable_length_inputs=padding, batch_timeout_micros=20_000)
        options = LoadOptions(enable_batching=True, batching=batching)
        servable = load("odd", 1, base / "odd" / "1", options)

        def ask(number):
            x = np.ones((1, number % 5 + 1), np.float32)
            return servable.run("", {"x": x})["sum"].tolist() == [number % 5 + 1]

        try:
            with ThreadPoolExecutor(10) as pool:
                return [one.exception() or one.result() for one in [pool.submit(ask, n) for n in range(60)]]
        finally:
            servable.close()

    assert run(padding=True) == [True] * 60
    refused = [one for one in run(padding=False) if one is not True]
    assert refused
    for one in refused:
        assert one.code is grpc.StatusCode.FAILED_PRECONDITION
        assert "different shapes and padding is turned off" in one.message


def test_large_requests_are_split(base):
    # All parts of a request must find room in the queue at the same time.
    batching = Batching(
        max_batch_size=100,
        enable_large_batch_splitting=True,
        max_execution_batch_size=8,
        max_enqueued_batches=20,
    )
    options = LoadOptions(enable_batching=True, batching=batching)
    servable = load("a", 1, base / "a" / "1", options)
    x = np.arange(100, dtype=np.float32)
    assert np.array_equal(servable.run("", {"x": x})["y"], x / 2 + 2)
    servable.close()


def test_a_version_leaves_when_its_requests_are_answered(base):
    models = Models(options=LOAD)
    source = ModelSource(name="a", base_path=base / "a", policy=Policy(specific=(1,)))
    models.apply([source])
    with ThreadPoolExecutor(1) as pool, models.use("a") as servable:
        change = pool.submit(models.apply, [ModelSource(name="a", base_path=base / "a")])
        end = time.monotonic() + 120
        while {one.version: one.state for one in models.statuses("a")}[1] != 40:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert not change.done()
        # The new version answers already, and the old one still does for who holds it.
        with models.use("a") as newer:
            assert newer.version == 2
        assert servable.run("", {"x": np.float32([2])})["y"].tolist() == [3.0]
    change.result(timeout=60)
    assert [(one.version, int(one.state)) for one in models.statuses("a")] == [(2, 30), (1, 50)]
    models.close()


def test_a_reload_replaces_models_and_keeps_what_answers(base, tmp_path):
    (tmp_path / "broken" / "1").mkdir(parents=True)
    request = ServeRequest(
        sources=[ModelSource(name="a", base_path=base / "a")],
        load=LOAD,
        server=ServerOptions(port=0),
        bases=(base, tmp_path),
    )
    with serving(request) as (server, _):
        stubs = Stubs(server.address)
        reload = model_management_pb2.ReloadConfigRequest()
        for name, folder in (("b", base / "b"), ("broken", tmp_path / "broken")):
            reload.config.model_config_list.config.add(
                name=name, base_path=str(folder), model_platform="tensorflow"
            )
        code, text = stubs.failure("HandleReloadConfigRequest", reload)
        assert code is grpc.StatusCode.INTERNAL
        assert "saved_model.pb" in text
        # What could be done is done.
        assert stubs.run(spec("b"), {"x": np.float32([2])})["y"].tolist() == [5001.0]
        assert stubs.failure("Predict", predict(spec("a"), {"x": [1.0]}))[0] is grpc.StatusCode.NOT_FOUND
        reload.config.model_config_list.config.add(name="b", base_path=str(base / "b"))
        code, text = stubs.failure("HandleReloadConfigRequest", reload)
        assert (code, "multiple times" in text) == (grpc.StatusCode.INVALID_ARGUMENT, True)
