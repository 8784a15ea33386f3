"""The typed service over real sockets and a real export."""

import io
import json
import shutil
import threading
import time

import grpc
import numpy as np
import pytest
from PIL import Image
from typed_servers import Server, WatchedServable, models_of

from skinzoo.export.card import read_card
from skinzoo.serving.cases import Limits
from skinzoo.v1 import lesion_classifier_pb2 as pb
from skinzoo.v1.lesion_classifier_pb2_grpc import LesionClassifierStub


@pytest.fixture(scope="module")
def without_card(tiny_export, tmp_path_factory):
    """A version folder as a SavedModel made elsewhere: no card."""
    folder = tmp_path_factory.mktemp("elsewhere") / "1"
    shutil.copytree(tiny_export, folder, ignore=shutil.ignore_patterns("assets.extra"))
    return WatchedServable("bare", 1, folder)


@pytest.fixture(scope="module")
def server(watched, without_card):
    limits = Limits(cases=40, image_bytes=200_000, pixels=1_000_000, batch=4, in_flight=3)
    server = Server(models_of(watched, without_card, labels={"tiny": {"stable": 1}}), limits=limits)
    yield server
    server.stop()


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server.address) as channel:
        yield LesionClassifierStub(channel)


TINY = pb.ModelSelector(name="tiny")


def message(case, **changes):
    fields = {
        "id": case.id,
        "image": case.image,
        "sex": case.sex,
        "localization": case.localization,
        **changes,
    }
    if case.age is not None and "age" not in changes:
        fields["age"] = case.age
    return pb.Case(**fields)


def picture(width=40, height=30, kind="JPEG", mode="RGB"):
    stream = io.BytesIO()
    Image.new(mode, (width, height), 120).save(stream, kind)
    return stream.getvalue()


def failure(call, request):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=60)
    return caught.value.code(), caught.value.details()


class TestClassify:
    def test_golden_cases_get_the_probabilities_of_the_run(self, stub, golden):
        cases = [message(one) for one in golden.cases]
        answer = stub.Classify(pb.ClassifyRequest(model=TINY, cases=cases), timeout=60)
        assert (answer.model.name, answer.model.version) == ("tiny", 1)
        assert tuple(answer.classes) == golden.classes
        assert [one.id for one in answer.results] == [one.id for one in golden.cases]
        found = np.array([one.classification.probabilities for one in answer.results])
        np.testing.assert_allclose(found, golden.probabilities, atol=1e-5)
        assert [one.classification.predicted_class for one in answer.results] == [
            golden.classes[i] for i in np.argmax(golden.probabilities, axis=1)
        ]

    def test_absent_nan_empty_and_unknown_mean_the_same(self, stub, golden):
        image = golden.cases[0].image
        cases = [
            pb.Case(image=image),
            pb.Case(image=image, age=float("nan"), sex="unknown", localization="unknown"),
            pb.Case(image=image, sex=" Unknown ", localization=""),
            pb.Case(image=image, age=60, sex="female", localization="back"),
        ]
        answer = stub.Classify(pb.ClassifyRequest(model=TINY, cases=cases), timeout=60)
        rows = [list(one.classification.probabilities) for one in answer.results]
        assert rows[0] == rows[1] == rows[2] != rows[3]
        assert not any(one.classification.warnings for one in answer.results)

    def test_bad_cases_fail_alone(self, stub, golden):
        good = golden.cases[0]
        truncated = picture(200, 200)[:-300]
        bad = [
            (pb.Case(id="junk", image=b"no image"), pb.CaseError.INVALID_IMAGE, "of another kind"),
            (pb.Case(id="none"), pb.CaseError.INVALID_IMAGE, "an empty file"),
            (pb.Case(id="cut", image=truncated), pb.CaseError.INVALID_IMAGE, "can be decoded"),
            (message(good, age=-1), pb.CaseError.INVALID_METADATA, "within 0..120 years"),
            (message(good, age=float("inf")), pb.CaseError.INVALID_METADATA, "Received: inf"),
            (pb.Case(image=bytes(200_001)), pb.CaseError.IMAGE_TOO_LARGE, "at most 200,000 bytes"),
            (pb.Case(image=picture(1001, 1000, "PNG")), pb.CaseError.IMAGE_TOO_LARGE, "1,000,000 pixels"),
            (pb.Case(image=picture(kind="TIFF")), pb.CaseError.INVALID_IMAGE, "Received: TIFF"),
        ]
        # A good case stands before, between and after the bad ones, and each answer at its own place.
        cases = [message(good)]
        for one, _, _ in bad:
            cases += [one, message(good)]
        answer = stub.Classify(pb.ClassifyRequest(model=TINY, cases=cases), timeout=60)
        assert [one.WhichOneof("outcome") for one in answer.results] == [
            "error" if i % 2 else "classification" for i in range(len(cases))
        ]
        for result, (case, code, words) in zip(answer.results[1::2], bad, strict=True):
            assert result.id == case.id
            assert result.error.code == code, result.error
            assert words in result.error.message
            assert "--skip-bad" not in result.error.message
        for result in answer.results[::2]:
            np.testing.assert_allclose(
                result.classification.probabilities, golden.probabilities[0], atol=1e-5
            )

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF"])
    def test_every_kind_of_image(self, stub, kind):
        case = pb.Case(image=picture(kind=kind))
        [result] = stub.Classify(pb.ClassifyRequest(model=TINY, cases=[case]), timeout=60).results
        assert sum(result.classification.probabilities) == pytest.approx(1, abs=1e-5)

    def test_terms_outside_the_vocabulary_are_answered_with_a_warning(self, stub, golden):
        case = message(golden.cases[0], sex="femal", localization="BACK ")
        [result] = stub.Classify(pb.ClassifyRequest(model=TINY, cases=[case]), timeout=60).results
        [warning] = result.classification.warnings
        assert "`sex` 'femal' is outside the model's vocabulary" in warning
        assert "Did you mean 'female'?" in warning

    @pytest.mark.parametrize(
        ("request_", "code", "words"),
        [
            (pb.ClassifyRequest(model=TINY), "INVALID_ARGUMENT", "at least one case"),
            (pb.ClassifyRequest(model=TINY, cases=[pb.Case()] * 41), "INVALID_ARGUMENT", "at most 40"),
            (pb.ClassifyRequest(cases=[pb.Case()]), "INVALID_ARGUMENT", "`model.name` must be given"),
            (
                pb.ClassifyRequest(model=pb.ModelSelector(name="other"), cases=[pb.Case()]),
                "NOT_FOUND",
                "Servable not found",
            ),
            (
                pb.ClassifyRequest(model=pb.ModelSelector(name="tiny", version=9), cases=[pb.Case()]),
                "NOT_FOUND",
                "Specific(tiny, 9)",
            ),
            (
                pb.ClassifyRequest(model=pb.ModelSelector(name="tiny", label="x"), cases=[pb.Case()]),
                "INVALID_ARGUMENT",
                "Unrecognized servable version label",
            ),
            (
                pb.ClassifyRequest(model=pb.ModelSelector(name="bare"), cases=[pb.Case()]),
                "FAILED_PRECONDITION",
                "has no card",
            ),
        ],
    )
    def test_a_request_that_fails_as_a_whole(self, stub, request_, code, words):
        found, details = failure(stub.Classify, request_)
        assert found is grpc.StatusCode[code] and words in details

    def test_version_and_label_choose(self, stub, golden):
        for chosen in ({"version": 1}, {"label": "stable"}):
            request = pb.ClassifyRequest(
                model=pb.ModelSelector(name="tiny", **chosen), cases=[message(golden.cases[0])]
            )
            assert stub.Classify(request, timeout=60).model.version == 1

    def test_concurrent_callers_get_their_own_answers(self, server, golden):
        def call(number, found):
            with grpc.insecure_channel(server.address) as channel:
                case = golden.cases[number % len(golden.cases)]
                request = pb.ClassifyRequest(model=TINY, cases=[message(case)] * 3)
                found[number] = LesionClassifierStub(channel).Classify(request, timeout=120)

        found = {}
        threads = [threading.Thread(target=call, args=(number, found)) for number in range(24)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(found) == 24
        for number, answer in found.items():
            expected = golden.probabilities[number % len(golden.cases)]
            for result in answer.results:
                np.testing.assert_allclose(result.classification.probabilities, expected, atol=1e-5)

    def test_what_is_asked_of_the_engine_is_bounded(self, stub, servable, golden):
        before, sizes = servable.runs, []
        original = servable.run
        servable.run = lambda signature, inputs, **options: (
            sizes.append(len(next(iter(inputs.values())))),
            original(signature, inputs, **options),
        )[1]
        try:
            request = pb.ClassifyRequest(model=TINY, cases=[message(golden.cases[0])] * 10)
            assert len(stub.Classify(request, timeout=60).results) == 10
        finally:
            del servable.run
        assert sizes == [4, 4, 4, 4, 2, 2]
        assert servable.runs == before + 6


class TestStream:
    def test_results_come_in_the_order_of_the_cases(self, stub, servable, golden):
        # Later cases are answered sooner than earlier ones.
        servable.before = lambda number: time.sleep(0.02 * (3 - number % 4))
        requests = [pb.ClassifyStreamRequest(model=TINY, case=message(golden.cases[0]))]
        requests += [pb.ClassifyStreamRequest(case=message(one)) for one in golden.cases[1:]]
        requests.insert(3, pb.ClassifyStreamRequest(case=pb.Case(id="junk", image=b"x")))
        answers = list(stub.ClassifyStream(iter(requests), timeout=120))
        assert [one.sequence for one in answers] == list(range(len(requests)))
        assert [one.result.id for one in answers] == [one.case.id for one in requests]
        assert answers[0].model.name == "tiny" and tuple(answers[0].classes) == golden.classes
        assert not any(one.HasField("model") or one.classes for one in answers[1:])
        assert answers[3].result.error.code == pb.CaseError.INVALID_IMAGE
        del answers[3]
        found = [one.result.classification.probabilities for one in answers]
        np.testing.assert_allclose(found, golden.probabilities, atol=1e-5)

    def test_each_case_is_answered_before_the_next_is_sent(self, stub, golden):
        answered = threading.Semaphore(0)

        def requests():
            for case in golden.cases[:3]:
                yield pb.ClassifyStreamRequest(model=TINY, case=message(case))
                assert answered.acquire(timeout=60)

        for _ in stub.ClassifyStream(requests(), timeout=120):
            answered.release()

    def test_few_are_under_way_however_many_are_sent(self, stub, servable, golden):
        servable.most_under_way = 0
        servable.before = lambda number: time.sleep(0.01)
        one = pb.ClassifyStreamRequest(model=TINY, case=message(golden.cases[0]))
        assert len(list(stub.ClassifyStream(iter([one] * 30), timeout=120))) == 30
        assert 2 <= servable.most_under_way <= 3

    def test_nothing_sent_is_nothing_answered(self, stub):
        assert list(stub.ClassifyStream(iter(()), timeout=60)) == []

    def test_an_unknown_model_ends_it(self, stub):
        request = pb.ClassifyStreamRequest(model=pb.ModelSelector(name="other"), case=pb.Case())
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.ClassifyStream(iter([request]), timeout=60))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    def test_a_caller_who_leaves_leaves_nothing_behind(self, stub, servable, golden):
        one = pb.ClassifyStreamRequest(model=TINY, case=message(golden.cases[0]))

        def endless():
            while True:
                yield one

        call = stub.ClassifyStream(endless(), timeout=120)
        next(call)
        call.cancel()
        until = time.monotonic() + 30
        while any(t.name.startswith("skinzoo-") for t in threading.enumerate()):
            assert time.monotonic() < until, [t.name for t in threading.enumerate()]
            time.sleep(0.05)


class TestExplain:
    def test_the_overlay_is_the_image_under_the_map(self, stub, golden, tiny_export):
        case = golden.cases[0]
        answer = stub.Explain(pb.ExplainRequest(model=TINY, case=message(case)), timeout=60)
        size = read_card(tiny_export).image["size"]
        with Image.open(io.BytesIO(answer.overlay_png)) as overlay:
            assert (overlay.format, overlay.size, overlay.mode) == ("PNG", (size, size), "RGB")
        assert len(answer.attention) == answer.attention_height * answer.attention_width > 1
        assert np.isfinite(answer.attention).all()
        np.testing.assert_allclose(
            answer.result.classification.probabilities, golden.probabilities[0], atol=1e-5
        )
        assert answer.result.id == case.id

    @pytest.mark.parametrize("image", [b"no image", picture(200, 200)[:-300]])
    def test_a_bad_image_is_an_error_of_the_case(self, stub, image):
        request = pb.ExplainRequest(model=TINY, case=pb.Case(id="bad", image=image))
        answer = stub.Explain(request, timeout=60)
        assert answer.result.id == "bad"
        assert answer.result.error.code == pb.CaseError.INVALID_IMAGE
        assert not answer.overlay_png and not answer.attention

    def test_a_model_without_a_map_says_so(self, tiny_export, golden):
        servable = WatchedServable("plain", 1, tiny_export)
        servable.signatures = {k: v for k, v in servable.signatures.items() if k != "explain"}
        server = Server(models_of(servable))
        try:
            with grpc.insecure_channel(server.address) as channel:
                stub = LesionClassifierStub(channel)
                request = pb.ExplainRequest(case=message(golden.cases[0]))
                code, details = failure(stub.Explain, request)
                # The only model needs no name.
                assert not stub.GetModelCard(pb.GetModelCardRequest(), timeout=60).has_attention
        finally:
            server.stop()
        assert code is grpc.StatusCode.UNIMPLEMENTED and "'plain' has no attention map" in details


def test_the_card(stub, tiny_export, golden):
    answer = stub.GetModelCard(pb.GetModelCardRequest(model=TINY), timeout=60)
    card = read_card(tiny_export)
    assert tuple(answer.classes) == golden.classes == card.classes
    assert tuple(answer.sex_vocabulary) == card.sex and "female" in card.sex
    assert tuple(answer.localization_vocabulary) == card.localization
    assert answer.image_size == card.image["size"]
    assert answer.uses_metadata and answer.has_attention and not answer.has_calibration
    assert "Not for diagnosis" in answer.intended_use
    assert json.loads(answer.card_json) == json.loads(json.dumps(card.to_dict()))
