"""The graph: the vocabulary lookup, calibration and decoding equal what Python does."""

import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from skinzoo.data.decode import Decoding, decode
from skinzoo.evaluation.calibration import fit_calibration
from skinzoo.evaluation.predictions import Predictions
from skinzoo.export.graph import ServingGraph, calibrate
from skinzoo.model import create_model
from skinzoo.specs import Vocabularies

SIZE = 32
CLASSES = ("a", "b", "c")
LETTERS = " \t\n\r\v\f\x00\x1c\x85\xa0\u2028FEMALEfemaleİıſK"


@pytest.fixture(scope="module")
def graph():
    return ServingGraph(
        create_model("cnn", classes=3, image_size=SIZE),
        decoding=Decoding(size=SIZE),
        vocabularies=Vocabularies(),
        classes=CLASSES,
    )


def lookup(graph, name, texts):
    contents = tf.constant([text.encode("utf-8", "surrogatepass") for text in texts], tf.string)
    return graph.indices(name, contents).numpy()


@pytest.mark.parametrize("name", ["sex", "localization"])
def test_every_term_and_its_spellings_have_the_same_index(graph, name):
    vocabulary = getattr(Vocabularies(), name)
    texts = [
        spelling
        for term in (*vocabulary.terms, "", "alien")
        for spelling in (
            term,
            term.upper(),
            f" {term}\n",
            f"\t\v\f\r{term} ",
            f"\x00{term}",
            f"\xa0{term}",
            f"{term}.",
        )
    ]
    np.testing.assert_array_equal(lookup(graph, name, texts), vocabulary.indices(texts))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.text(alphabet=st.sampled_from(" \t\n\r\v\f\x00\x1c\x85\xa0\u2028FEMALEfemaleİıſK")), min_size=1
    )
)
def test_the_lookup_equals_that_of_the_vocabulary(graph, texts):
    np.testing.assert_array_equal(lookup(graph, "sex", texts), Vocabularies().sex.indices(texts))


@pytest.mark.parametrize("method", ["temperature", "vector"])
def test_calibration_equals_that_of_the_evaluation(method):
    rng = np.random.default_rng(0)
    true = rng.integers(0, 3, 200)
    logits = rng.normal(size=(200, 3)) + 3 * np.eye(3)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probabilities[0] = (1.0, 0.0, 0.0)
    # As a model yields them.
    probabilities = probabilities.astype(np.float32)
    known = Predictions(
        image_id=np.array([f"i{n}" for n in range(200)]),
        lesion_id=np.array([""] * 200),
        true=true,
        probabilities=probabilities.astype(np.float64),
        classes=CLASSES,
    )
    calibration = fit_calibration(known, method)
    found = calibrate(tf.constant(probabilities), calibration.to_dict()).numpy()
    np.testing.assert_allclose(found, calibration.apply(known).probabilities, atol=1e-12)
    assert np.isfinite(found).all()


def encoded(kind, mode="RGB"):
    pixels = np.random.default_rng(1).integers(0, 255, (40, 50, 3), np.uint8)
    frames = [Image.fromarray(255 - pixels).convert(mode)] if kind == "GIF" else []
    stream = io.BytesIO()
    more = {"save_all": True, "append_images": frames} if frames else {}
    Image.fromarray(pixels).convert(mode).save(stream, kind, **more)
    return stream.getvalue()


def test_every_kind_of_file_is_decoded_as_in_python(graph):
    files = [encoded("JPEG"), encoded("PNG"), encoded("BMP"), encoded("GIF"), encoded("PNG", "L")]
    found = graph.decode(tf.constant(files))["image"].numpy()
    assert found.dtype == np.uint8
    for pixels, file in zip(found, files, strict=True):
        np.testing.assert_array_equal(pixels, decode(file, Decoding(size=SIZE)).numpy())


def test_one_bad_image_fails_its_batch_as_the_docs_say(graph):
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph.decode(tf.constant([encoded("PNG"), b"no image"]))


def test_every_output_begins_with_the_batch(graph):
    for count in (1, 3):
        answer = graph.serve_image_only(tf.constant([encoded("JPEG")] * count, tf.string))
        assert {name: tuple(value.shape) for name, value in answer.items()} == {
            "probabilities": (count, 3),
            "classes": (count, 3),
            "predicted_class": (count,),
        }


def test_an_abstention_is_answered_by_its_threshold():
    model = create_model("cnn", classes=3, image_size=SIZE)
    fitted = {"scale": [2.0, 2.0, 2.0], "shift": [0.0, 0.0, 0.0]}

    def answer(threshold):
        calibration = {"calibration": fitted, "abstention": {"threshold": threshold}}
        graph = ServingGraph(
            model,
            decoding=Decoding(size=SIZE),
            vocabularies=Vocabularies(),
            classes=CLASSES,
            calibration=calibration,
        )
        return graph.serve_image_only(tf.constant([encoded("JPEG"), encoded("BMP")]))

    found = answer(0.0)
    top = found["calibrated"].numpy().max(axis=1)
    assert found["abstain"].numpy().tolist() == [False, False]
    assert answer(1.1)["abstain"].numpy().tolist() == [True, True]
    assert answer(float(top.min()) + 1e-6)["abstain"].numpy().tolist() == (top == top.min()).tolist()
