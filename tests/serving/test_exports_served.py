"""An export asked with TensorFlow Serving's stubs alone gives the probabilities of its run."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import tensorflow as tf
from calls import Stubs, classify, predict, spec
from tensorflow_serving.apis import input_pb2

from skinzoo.errors import ModelError
from skinzoo.export import names
from skinzoo.export.golden import read_golden
from skinzoo.serving.folders import find_models
from skinzoo.serving.loading import load
from skinzoo.serving.servable import LoadOptions
from skinzoo.serving.serve import ServeRequest, serving
from skinzoo.serving.server import ServerOptions


@pytest.fixture(scope="module")
def golden(tiny_export):
    return read_golden(tiny_export / names.EXTRA_FOLDER / names.GOLDEN_FILE)


@pytest.fixture(scope="module", params=[None, False], ids=["batched", "not batched"])
def server(tiny_export, request):
    load = LoadOptions(enable_batching=request.param)
    sources = find_models([tiny_export])
    with serving(ServeRequest(sources=sources, load=load, server=ServerOptions(port=0))) as (server, _):
        stubs = Stubs(server.address)
        stubs.name = sources[0].name
        yield stubs


def inputs_of(cases):
    return {
        names.IMAGE_BYTES: [case.image for case in cases],
        names.AGE: np.float32([np.nan if case.age is None else case.age for case in cases]),
        names.SEX: [case.sex for case in cases],
        names.LOCALIZATION: [case.localization for case in cases],
    }


def test_golden_cases_in_one_request(server, golden):
    found = server.run(spec(server.name), inputs_of(golden.cases))
    np.testing.assert_allclose(found[names.PROBABILITIES], golden.probabilities, atol=1e-5)
    expected = [golden.classes[i].encode() for i in golden.probabilities.argmax(axis=1)]
    assert found[names.PREDICTED_CLASS].tolist() == expected
    assert {tuple(row) for row in found[names.CLASSES].tolist()} == {
        tuple(name.encode() for name in golden.classes)
    }


def test_golden_cases_of_which_only_the_image_is_known(server, golden):
    images = {names.IMAGE_BYTES: [case.image for case in golden.cases]}
    found = server.run(spec(server.name, signature=names.IMAGE_ONLY), images, [names.PROBABILITIES])
    np.testing.assert_allclose(found[names.PROBABILITIES], golden.image_only, atol=1e-5)


def test_golden_cases_as_pixels(server, golden):
    given = inputs_of(golden.cases)
    images = {names.IMAGE_BYTES: given.pop(names.IMAGE_BYTES)}
    pixels = server.run(spec(server.name, signature=names.DECODE), images)
    found = server.run(spec(server.name, signature=names.TENSORS), pixels | given)
    np.testing.assert_allclose(found[names.PROBABILITIES], golden.probabilities, atol=1e-5)


def test_golden_cases_as_examples(server, golden):
    def feature(value):
        if isinstance(value, float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    examples = []
    for case in golden.cases:
        given = {names.IMAGE_BYTES: case.image, names.AGE: case.age}
        given |= {names.SEX: case.sex.encode(), names.LOCALIZATION: case.localization.encode()}
        features = {name: feature(value) for name, value in given.items() if value not in (None, b"")}
        examples.append(tf.train.Example(features=tf.train.Features(feature=features)))
    listed = input_pb2.Input(example_list=input_pb2.ExampleList(examples=examples))
    answer = server.call("Classify", classify(spec(server.name, signature=names.CLASSIFY), listed))
    scores = [[one.score for one in row.classes] for row in answer.result.classifications]
    np.testing.assert_allclose(scores, golden.probabilities, atol=1e-5)
    assert [one.label for one in answer.result.classifications[0].classes] == list(golden.classes)


def test_one_by_one_at_the_same_time_with_bad_images_among_them(server, golden):
    def ask(number):
        i = number % len(golden.cases)
        given = inputs_of([golden.cases[i]])
        if number % 5 == 0:
            given[names.IMAGE_BYTES] = [b"no image"]
            code, text = server.failure("Predict", predict(spec(server.name), given))
            return code is grpc.StatusCode.INVALID_ARGUMENT and "Unknown image file format" in text
        found = server.run(spec(server.name), given)[names.PROBABILITIES]
        return np.allclose(found, golden.probabilities[i : i + 1], atol=1e-5)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(100)))


def test_a_request_whose_parts_do_not_match_fails_alone(server, golden):
    given = inputs_of(golden.cases[:2]) | {names.AGE: np.float32([1.0])}
    code, text = server.failure("Predict", predict(spec(server.name), given))
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    # Where in the server's code it failed is nothing for a caller.
    assert "File " not in text


def test_an_export_that_answers_otherwise_than_its_run_does_not_load(tiny_export, tmp_path):
    changed = tmp_path / "m" / "1"
    shutil.copytree(tiny_export, changed)
    path = changed / names.EXTRA_FOLDER / names.GOLDEN_FILE
    document = json.loads(path.read_text())
    document["probabilities"] = [row[::-1] for row in document["probabilities"]]
    path.write_text(json.dumps(document))
    load("m", 1, tiny_export, LoadOptions()).close()
    with pytest.raises(ModelError, match="golden cases within"):
        load("m", 1, changed, LoadOptions())
