"""Who gets an answer: certificates, tokens, and how much of one client at a time."""

import threading
import time

import grpc
import numpy as np
import pytest
from calls import Stubs, metadata, predict, spec, status
from certificates import Authority, needs_openssl
from grpc_health.v1 import health_pb2, health_pb2_grpc
from saved_models import save_halves
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)

from skinzoo.client import Client, ClientOptions
from skinzoo.errors import ServingError, UsageError
from skinzoo.serving.bases import Bases
from skinzoo.serving.models import Models
from skinzoo.serving.protection import Protection
from skinzoo.serving.servable import Servable
from skinzoo.serving.server import Server, ServerOptions
from skinzoo.serving.tokens import Tokens
from skinzoo.v1 import lesion_classifier_pb2 as pb
from skinzoo.v1.lesion_classifier_pb2_grpc import LesionClassifierStub

TOKEN, OTHER = "0123456789abcdef-for-tests", "another-token-of-the-file"
Code = grpc.StatusCode


class SlowHalves(Servable):
    """A version that answers when it is told to."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.go_on = threading.Event()
        self.go_on.set()

    def run(self, *arguments, **options):
        self.go_on.wait(120)
        return super().run(*arguments, **options)


@pytest.fixture(scope="module")
def halves(tmp_path_factory):
    return SlowHalves("halves", 1, save_halves(tmp_path_factory.mktemp("base") / "halves" / "1"))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tls") / "theirs")


@pytest.fixture
def started(halves):
    """Start servers that end with the test."""
    servers = []

    def start(threads=8, **protection):
        options = ServerOptions(port=0, threads=threads, protection=Protection(**protection))
        server = Server(Models([halves]), options)
        servers.append(server)
        server.start()
        return server

    yield start
    halves.go_on.set()
    for server in servers:
        server.stop(5)


def ask(address, credentials=None, *, token=None, timeout=30):
    """Return the answer of a Predict call, or the code that it ended with."""
    channel = grpc.secure_channel(address, credentials) if credentials else grpc.insecure_channel(address)
    with channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        extra = [("authorization", f"Bearer {token}")] if token else None
        try:
            return call(
                predict(spec("halves"), {"x": np.float32([4])}).SerializeToString(),
                timeout=timeout,
                metadata=extra,
            )
        except grpc.RpcError as error:
            return error.code()


@needs_openssl
def test_a_server_with_tls_answers_who_trusts_it(started, authority, stranger):
    server = started(tls=authority.tls())
    assert isinstance(ask(server.address, authority.credentials()), bytes)
    assert ask(server.address) is Code.UNAVAILABLE
    assert ask(server.address, stranger.credentials()) is Code.UNAVAILABLE
    assert ask(server.address, grpc.ssl_channel_credentials()) is Code.UNAVAILABLE


@needs_openssl
def test_mutual_tls_answers_only_clients_with_a_certificate(started, authority, stranger):
    server = started(tls=authority.tls(verify_clients=True))
    assert isinstance(ask(server.address, authority.credentials(client=authority)), bytes)
    assert ask(server.address, authority.credentials()) is Code.UNAVAILABLE
    assert ask(server.address, authority.credentials(client=stranger)) is Code.UNAVAILABLE
    assert ask(server.address) is Code.UNAVAILABLE


@needs_openssl
def test_the_client_says_what_is_wrong_with_its_certificates(started, authority, stranger):
    server = started(tls=authority.tls(verify_clients=True))
    options = ClientOptions(api="tensorflow", timeout=30)
    with pytest.raises(ServingError, match="--ca") as caught:
        Client(server.address, model="halves", credentials=stranger.credentials(), options=options)
    assert caught.value.exit_code == 6


def every_call(channel, **options):
    """Yield each call of the services with the code that it ends with."""
    typed = LesionClassifierStub(channel)
    prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    management = model_service_pb2_grpc.ModelServiceStub(channel)
    calls = {
        "Predict": lambda: prediction.Predict(predict(spec("halves"), {"x": [1.0]}), **options),
        "GetModelMetadata": lambda: prediction.GetModelMetadata(
            metadata(spec("halves"), "signature_def"), **options
        ),
        "GetModelStatus": lambda: management.GetModelStatus(status(spec("halves")), **options),
        "Reload": lambda: management.HandleReloadConfigRequest(
            model_management_pb2.ReloadConfigRequest(), **options
        ),
        "Card": lambda: typed.GetModelCard(pb.GetModelCardRequest(), **options),
        "Classify": lambda: typed.Classify(pb.ClassifyRequest(), **options),
        "Explain": lambda: typed.Explain(pb.ExplainRequest(), **options),
        "Stream": lambda: list(typed.ClassifyStream(iter([pb.ClassifyStreamRequest()]), **options)),
        "NoSuchCall": lambda: channel.unary_unary("/skinzoo.v1.LesionClassifier/Nothing")(b"", **options),
    }
    for name, call in calls.items():
        try:
            call()
        except grpc.RpcError as error:
            yield name, error.code()
        else:
            yield name, Code.OK


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer ", "Bearer wrong-token-of-some-length", TOKEN, f"Basic {TOKEN}"]
)
def test_no_call_is_answered_without_a_known_token(started, authorization):
    server = started(tokens=Tokens([TOKEN, OTHER]))
    extra = (("authorization", authorization),) if authorization is not None else ()
    with grpc.insecure_channel(server.address) as channel:
        for name, code in every_call(channel, timeout=30, metadata=extra):
            assert code is Code.UNAUTHENTICATED, name
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=30)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_each_known_token_opens_every_call(started):
    server = started(tokens=Tokens([TOKEN, OTHER]))
    with grpc.insecure_channel(server.address) as channel:
        for token in (TOKEN, OTHER):
            codes = dict(every_call(channel, timeout=30, metadata=(("authorization", f"bearer {token}"),)))
            assert Code.UNAUTHENTICATED not in codes.values()
            assert codes["Predict"] is codes["GetModelStatus"] is Code.OK


def test_the_client_sends_its_token_and_says_when_one_is_missing(started):
    server = started(tokens=Tokens([TOKEN]))
    options = ClientOptions(api="tensorflow", timeout=30)
    with pytest.raises(ServingError, match="SKINZOO_TOKEN"):
        Client(server.address, model="halves", options=options)
    with pytest.raises(ServingError) as caught:
        Client(server.address, model="halves", options=options, token=TOKEN)
    # It is let in: the model is no export, so there is nothing to classify with.
    assert "UNAUTHENTICATED" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_message_above_the_limit_is_refused_by_its_size(started):
    server = started(message_bytes=10_000)
    stubs = Stubs(server.address)
    assert stubs.run(spec("halves"), {"x": np.float32([4])})["y"].tolist() == [4.0]
    code, _ = stubs.failure("Predict", predict(spec("halves"), {"x": np.zeros(5000, np.float32)}))
    assert code is Code.RESOURCE_EXHAUSTED


def in_background(server, count):
    """Start calls and return them."""
    channel = grpc.insecure_channel(server.address)
    method = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    message = predict(spec("halves"), {"x": np.float32([4])}).SerializeToString()
    return [method.future(message, timeout=100) for _ in range(count)]


def code_of(call):
    return Code.OK if call.exception() is None else call.exception().code()


def test_a_full_queue_is_unavailable_at_once_and_free_again_at_once(started, halves):
    server = started(threads=2, waiting=3)
    halves.go_on.clear()
    calls = in_background(server, 20)
    deadline = time.monotonic() + 30
    while sum(call.done() for call in calls) < 15:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert {code_of(call) for call in calls if call.done()} == {Code.UNAVAILABLE}
    stubs = Stubs(server.address)
    start = time.monotonic()
    code, text = stubs.failure("Predict", predict(spec("halves"), {"x": [4.0]}))
    assert (code, "queue is full" in text) == (Code.UNAVAILABLE, True), text
    # A probe is answered although every thread is busy.
    health = health_pb2_grpc.HealthStub(stubs.channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=30).status == 1
    assert time.monotonic() - start < 20
    halves.go_on.set()
    assert sorted(code_of(call).name for call in calls) == ["OK"] * 5 + ["UNAVAILABLE"] * 15
    assert stubs.run(spec("halves"), {"x": np.float32([4])})["y"].tolist() == [4.0]


def test_one_client_has_only_so_many_calls_under_way(started, halves):
    server = started(per_client=3)
    halves.go_on.clear()
    calls = in_background(server, 5)
    deadline = time.monotonic() + 30
    while sum(call.done() for call in calls) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert {code_of(call) for call in calls if call.done()} == {Code.RESOURCE_EXHAUSTED}
    halves.go_on.set()
    assert sorted(code_of(call).name for call in calls) == ["OK"] * 3 + ["RESOURCE_EXHAUSTED"] * 2
    # What was held is given back.
    assert {code_of(call) for call in in_background(server, 3)} == {Code.OK}


def test_limits_of_clients_with_tokens_are_by_token(started, halves):
    server = started(per_client=1, tokens=Tokens([TOKEN, OTHER]))
    halves.go_on.clear()
    with grpc.insecure_channel(server.address) as channel:
        method = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        message = predict(spec("halves"), {"x": np.float32([4])}).SerializeToString()

        def call(token):
            return method.future(message, timeout=100, metadata=(("authorization", f"Bearer {token}"),))

        first, second = call(TOKEN), call(TOKEN)
        deadline = time.monotonic() + 30
        while not (first.done() or second.done()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        other = call(OTHER)
        time.sleep(0.2)
        assert not other.done()
        halves.go_on.set()
        codes = sorted(code_of(one).name for one in (first, second, other))
        assert codes == ["OK", "OK", "RESOURCE_EXHAUSTED"]


@pytest.mark.parametrize(
    ("name", "where", "code"),
    [
        ("b", "outside", Code.PERMISSION_DENIED),
        ("b", "inside/../../outside", Code.PERMISSION_DENIED),
        ("b", "inside/link", Code.PERMISSION_DENIED),
        ("b", "inside-but-longer", Code.PERMISSION_DENIED),
        ("../b", "inside/m", Code.INVALID_ARGUMENT),
        ("a b", "inside/m", Code.INVALID_ARGUMENT),
        ("..", "inside/m", Code.INVALID_ARGUMENT),
        ("b", "inside/m", None),
        ("b", "inside", None),
    ],
)
def test_a_reload_cannot_leave_the_bases(halves, tmp_path, name, where, code):
    for folder in ("inside", "outside", "inside-but-longer"):
        save = tmp_path / folder / "m"
        save.mkdir(parents=True)
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "outside")
    models = Models([halves])
    server = Server(models, ServerOptions(port=0, protection=Protection(bases=Bases([tmp_path / "inside"]))))
    server.start()
    try:
        request = model_management_pb2.ReloadConfigRequest()
        request.config.model_config_list.config.add(name=name, base_path=str(tmp_path / where))
        stubs = Stubs(server.address)
        found, text = stubs.failure("HandleReloadConfigRequest", request)
        if code is None:
            # It may be looked into; there is no version in it.
            assert "Could not find any version" in text
        else:
            assert found is code, text
            # What was refused has changed nothing.
            assert stubs.run(spec("halves"), {"x": np.float32([4])})["y"].tolist() == [4.0]
    finally:
        server.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "no-such-host.invalid"])
def test_a_server_that_others_reach_must_have_tls(halves, host):
    with pytest.raises(UsageError, match="--allow-insecure"):
        Server(Models([halves]), ServerOptions(host=host, port=0))


@needs_openssl
def test_a_server_that_others_reach_starts_with_tls_or_where_it_was_allowed(halves, authority):
    for protection in (Protection(tls=authority.tls()), Protection(allow_insecure=True)):
        Server(Models([halves]), ServerOptions(host="0.0.0.0", port=0, protection=protection)).stop()
