"""TensorFlow Serving's API from the client's side: directly, and behind the typed service of `--backend`."""

import asyncio
import io

import grpc
import pytest
from PIL import Image
from typed_servers import WatchedServable, models_of

from skinzoo.client import AsyncClient, Case, Client, ClientOptions
from skinzoo.errors import ModelError, ServingError, UsageError
from skinzoo.export.card import read_card
from skinzoo.serving.backend import RemoteModels, card_of
from skinzoo.serving.cases import Limits
from skinzoo.serving.server import Server, ServerOptions

TENSORFLOW = ClientOptions(api="tensorflow", batch=3)


@pytest.fixture(scope="module")
def remote(tiny_export):
    """A server with the Predict call, in the place of TensorFlow Serving."""
    server = Server(models_of(WatchedServable("tiny", 1, tiny_export)), ServerOptions(port=0))
    server.start()
    yield server
    server.stop(0)


@pytest.fixture(scope="module", params=["with card", "without"])
def front(request, remote, tiny_export):
    """The typed service in front of it."""
    card = card_of(tiny_export) if request.param == "with card" else None
    models = RemoteModels(remote.address, "tiny", card=card)
    server = Server(models, ServerOptions(port=0), limits=Limits(decode=True))
    server.start()
    yield server
    server.stop(0)
    models.close()


def truncated():
    stream = io.BytesIO()
    Image.effect_noise((200, 200), 50).convert("RGB").save(stream, "JPEG")
    return stream.getvalue()[:-500]


def mixed(golden):
    """Good cases with bad ones between them, three of them known as bad by the server alone."""
    cut = Case(id="cut", image=truncated())
    junk = Case(id="junk", image=b"junk")
    return [golden.cases[0], cut, golden.cases[1], junk, cut, golden.cases[2], cut]


class TestDirectly:
    def test_golden_cases(self, remote, golden):
        with Client(remote.address, model="tiny", options=TENSORFLOW) as client:
            assert not client.typed and str(client.model) == "tiny/1"
            assert client.model.classes == golden.classes and client.model.has_attention
            golden.check(client.classify(golden.cases))
            golden.check(list(client.stream(golden.cases)))

    def test_asyncio(self, remote, golden):
        async def carry_out():
            async with AsyncClient(remote.address, model="tiny", options=TENSORFLOW) as client:
                return await client.classify(golden.cases), [one async for one in client.stream(golden.cases)]

        for results in asyncio.run(carry_out()):
            golden.check(results)

    def test_a_bad_image_fails_alone(self, remote, golden):
        cases = mixed(golden)
        with Client(remote.address, model="tiny", options=ClientOptions(api="tensorflow")) as client:
            results = client.classify(cases)
        assert [one.id for one in results] == [one.id for one in cases]
        assert [one.ok for one in results] == [True, False, True, False, False, True, False]
        assert all("Traceback" not in one.error for one in results)

    def test_explain(self, remote, golden):
        with (
            Client(remote.address, model="tiny", options=TENSORFLOW) as plain,
            Client(remote.address, model="tiny") as typed,
        ):
            assert typed.typed
            first, second = (client.explain(golden.cases[0]) for client in (plain, typed))
        assert first.overlay_png == second.overlay_png
        assert first.attention == second.attention

    def test_wrong_models_and_signatures(self, remote):
        for options, error, words in (
            (ClientOptions(api="tensorflow", signature="other"), UsageError, "the signature 'other'"),
            (
                ClientOptions(api="tensorflow", signature="features"),
                ServingError,
                "must be that of an export",
            ),
        ):
            with pytest.raises(error, match=words):
                Client(remote.address, model="tiny", options=options)
        with pytest.raises(ServingError, match="must have the model"):
            Client(remote.address, model="other", options=TENSORFLOW)


class TestBehindTheTypedService:
    def test_golden_cases(self, front, golden):
        with Client(front.address) as client:
            assert client.typed and str(client.model) == "tiny/1"
            assert client.model.classes == golden.classes
            golden.check(client.classify(golden.cases))
            golden.check(list(client.stream(golden.cases)))

    def test_bad_images_are_not_sent(self, front, golden):
        cases = mixed(golden)
        with Client(front.address) as client:
            results = client.classify(cases)
        assert [one.ok for one in results] == [True, False, True, False, False, True, False]
        assert "can be decoded" in results[1].error

    def test_explain_and_the_card(self, front, remote, golden, tiny_export):
        with Client(front.address) as client, Client(remote.address, model="tiny") as typed:
            assert client.explain(golden.cases[0]) == typed.explain(golden.cases[0])
            card = client.model.card
        assert card.image["size"] == read_card(tiny_export).image["size"]
        assert "Not for diagnosis" in card.intended_use
        assert card.sex == () or "female" in card.sex

    def test_unknown_versions(self, front):
        with pytest.raises(ServingError, match="Servable not found"):
            Client(front.address, version=9)

    def test_nothing_else_is_served_there(self, front):
        with pytest.raises(ServingError, match="which is neither"):
            Client(front.address, model="tiny", options=TENSORFLOW)


def test_no_such_backend(remote, tiny_export, tmp_path):
    with pytest.raises(ServingError, match=r"`--backend` must be a TensorFlow Serving .*NOT_FOUND"):
        RemoteModels(remote.address, "other")
    with pytest.raises(ServingError, match=r"`--backend` must be .*UNAVAILABLE"):
        RemoteModels("127.0.0.1:1", "tiny")
    assert card_of(tiny_export / "assets.extra" / "skinzoo_card.json") == card_of(tiny_export)
    with pytest.raises(ModelError, match="must be readable"):
        card_of(tmp_path / "gone.json")
    with pytest.raises(ModelError, match="which has none"):
        card_of(tmp_path)


def test_a_backend_that_goes_away_is_unavailable(tiny_export, golden):
    remote = Server(models_of(WatchedServable("tiny", 1, tiny_export)), ServerOptions(port=0))
    remote.start()
    models = RemoteModels(remote.address, "tiny")
    front = Server(models, ServerOptions(port=0))
    front.start()
    try:
        with Client(front.address, options=ClientOptions(retry_seconds=0.2)) as client:
            golden.check(client.classify(golden.cases))
            remote.stop(0)
            with pytest.raises(ServingError, match="must be available") as caught:
                client.classify(golden.cases)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    finally:
        front.stop(0)
        models.close()
