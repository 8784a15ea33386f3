"""REST over real sockets: answers are those of gRPC from the same server, errors are TensorFlow Serving's."""

import base64
import concurrent.futures
import json
import math
import socket

import numpy as np
import pytest
import tensorflow as tf
from calls import Stubs, classify, example, examples, regress, spec
from calls import metadata as metadata_request
from rest_calls import Rest
from saved_models import save_halves, save_odd
from tensorflow_serving.apis import input_pb2

from skinzoo.errors import ServingError
from skinzoo.export import names
from skinzoo.export.golden import read_golden
from skinzoo.serving.folders import ModelSource, Policy, find_models
from skinzoo.serving.rest.errors import HTTP_STATUS
from skinzoo.serving.rest.options import RestOptions
from skinzoo.serving.serve import ServeRequest, serving
from skinzoo.serving.server import Server, ServerOptions

HALVES, PREDICT = "/v1/models/halves", "/v1/models/halves:predict"
ODD = "/v1/models/odd:predict"
REGRESS, CLASSIFY = "regress_x_to_y", "classify_x_to_y"


class Typed(tf.Module):
    """Inputs and outputs of every type that JSON can hold."""

    @tf.function(
        input_signature=[
            tf.TensorSpec((None,), tf.string, name="file_bytes"),
            tf.TensorSpec((None, 2), tf.int64, name="whole"),
            tf.TensorSpec((None,), tf.uint8, name="small"),
            tf.TensorSpec((None,), tf.bool, name="flag"),
            tf.TensorSpec((None,), tf.float64, name="exact"),
        ]
    )
    def call(self, file_bytes, whole, small, flag, exact):
        return {
            "file_bytes": file_bytes,
            "text": file_bytes,
            "whole": whole,
            "small": small,
            "flag": flag,
            "exact": exact,
            "half": tf.cast(exact, tf.float16),
            "float": tf.cast(exact, tf.float32),
        }


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    save_halves(base / "halves" / "0001", 2.0)
    save_halves(base / "halves" / "2", 3.0)
    save_odd(base / "odd" / "7")
    module = Typed()
    tf.saved_model.save(module, str(base / "typed" / "1"), signatures=module.call)
    sources = [
        ModelSource(
            name="halves", base_path=base / "halves", policy=Policy(latest=None), labels={"stable": 1}
        ),
        *(ModelSource(name=name, base_path=base / name) for name in ("odd", "typed")),
    ]
    options = ServerOptions(port=0, rest=RestOptions(port=0, timeout=60))
    with serving(ServeRequest(sources=sources, server=options)) as (server, _):
        yield server


@pytest.fixture(scope="module")
def rest(server):
    return Rest(server.rest.address)


@pytest.fixture(scope="module")
def stubs(server):
    return Stubs(server.address)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (HALVES, spec("halves")),
        (f"{HALVES}/versions/1", spec("halves", version=1)),
        (f"{HALVES}/versions/002", spec("halves", version=2)),
        (f"{HALVES}/labels/stable", spec("halves", label="stable")),
        ("/V1/Models/halves", spec("halves")),
        ("/v1/models/%68alves", spec("halves")),
    ],
)
def test_predict_in_rows_and_columns(rest, stubs, path, asked):
    x = [1.0, 2.5, -0.1]
    expected = {name: value.tolist() for name, value in stubs.run(asked, {"x": np.float32(x)}).items()}
    for body in ({"instances": x}, {"instances": [{"x": one} for one in x]}):
        rows = rest.post(f"{path}:predict", body)["predictions"]
        columns = {name: [row[name] for row in rows] for name in expected}
        assert {name: np.float32(value).tolist() for name, value in columns.items()} == expected
    for body in ({"inputs": x}, {"inputs": {"x": x}}):
        columns = rest.post(f"{path}:predict", body)["outputs"]
        assert {name: np.float32(value).tolist() for name, value in columns.items()} == expected


def test_a_single_output_has_no_name(rest, stubs):
    body = {"signature_name": "serving_default", "instances": [[1.5, 2.0], [0.0, 1.0]]}
    expected = stubs.run(spec("odd"), {"x": np.float32(body["instances"])})["sum"].tolist()
    assert rest.post(ODD, body) == {"predictions": expected}
    assert rest.post(ODD, {"inputs": {"x": body["instances"]}}) == {"outputs": expected}


def test_a_scalar_goes_into_columns_alone(rest):
    assert rest.post(ODD, {"signature_name": "scalar", "inputs": [1.0, 2.0]}) == {"outputs": 3.0}
    status, text = rest.failure("POST", ODD, {"signature_name": "scalar", "instances": [1.0, 2.0]})
    assert (status, "has no shape information" in text) == (400, True), text


def test_types_and_bytes(rest):
    data = bytes(range(256))
    row = {
        "file_bytes": {"b64": base64.b64encode(b"file").decode()},
        "whole": [2**62 + 1, -5],
        "small": 255,
        "flag": True,
        "exact": 0.1,
    }
    found = rest.post("/v1/models/typed:predict", {"instances": [row, {**row, "file_bytes": "Grüße"}]})
    first, second = found["predictions"]
    assert first == {
        **row, "text": "file", "half": pytest.approx(0.1, abs=1e-4), "float": 0.1,
    }  # fmt: skip
    assert second["text"] == "Grüße"
    assert second["file_bytes"] == {"b64": base64.b64encode("Grüße".encode()).decode()}
    # A text cannot hold every byte, which an output whose name ends in _bytes can.
    row["file_bytes"] = {"b64": base64.b64encode(data).decode()}
    status, text = rest.failure("POST", "/v1/models/typed:predict", {"instances": [row]})
    assert (status, "text holds bytes that are no text" in text) == (400, True), text


def test_base64_without_padding_and_in_lines(rest):
    row = {"whole": [1, 2], "small": 1, "flag": False, "exact": 1.0}
    for text in ("Zmls", "ZmlsZQ==", "ZmlsZQ", "Zm\nls\nZQ=="):
        body = {"instances": [{**row, "file_bytes": {"b64": text}}]}
        found = rest.post("/v1/models/typed:predict", body)["predictions"][0]
        assert found["text"] in ("fil", "file")


def test_what_is_no_number(rest, stubs):
    """NaN and Infinity go in and come out as the words that TensorFlow Serving writes."""
    status, _, content = rest.raw("POST", PREDICT, b'{"instances": [NaN, Infinity, -Infinity]}')
    assert status == 200
    assert json.loads(content)["predictions"][1:] == [{"twice": v, "y": v} for v in (math.inf, -math.inf)]
    assert b"NaN" in content
    assert b"-Infinity" in content


def test_classify_and_regress(rest, stubs):
    given = [1.5, 0.1]
    body = {"signature_name": CLASSIFY, "examples": [{"x": one} for one in given]}
    expected = stubs.call("Classify", classify(spec("halves", signature=CLASSIFY), examples(*given))).result
    found = rest.post(f"{HALVES}:classify", body)["results"]
    assert [[[label, np.float32(score)] for label, score in row] for row in found] == [
        [[one.label, np.float32(one.score)] for one in row.classes] for row in expected.classifications
    ]
    # With the digits of a float32, not those of the double that it becomes on the way.
    assert found[1][0] == ["as it is", 0.1]
    body = {"signature_name": REGRESS, "context": {"x": [4.0]}, "examples": [{}, {"unused": ["a", "b"]}]}
    listed = input_pb2.ExampleListWithContext(context=example(4.0))
    listed.examples.add()
    listed.examples.add().features.feature["unused"].bytes_list.value.extend([b"a", b"b"])
    asked = regress(spec("halves", signature=REGRESS), input_pb2.Input(example_list_with_context=listed))
    expected = [one.value for one in stubs.call("Regress", asked).result.regressions]
    assert rest.post(f"{HALVES}:regress", body)["results"] == expected


def test_status_and_metadata(rest, stubs):
    good = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    both = {"model_version_status": [{"version": "2", **good}, {"version": "1", **good}]}
    assert rest.get(HALVES) == both
    assert rest.get(f"{HALVES}/labels/stable") == both
    assert rest.get(f"{HALVES}/versions/1") == {"model_version_status": [{"version": "1", **good}]}
    found = rest.get(f"{HALVES}/labels/stable/metadata")
    answer = stubs.call("GetModelMetadata", metadata_request(spec("halves", label="stable"), "signature_def"))
    assert found["model_spec"] == {"name": "halves", "version": "1", "signature_name": ""}
    assert answer.model_spec.version.value == 1
    signatures = found["metadata"]["signature_def"]["signature_def"]
    assert signatures["serving_default"]["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signatures["serving_default"]["inputs"]["x"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]


def test_an_export_with_images_and_unknown_metadata(tiny_export):
    golden = read_golden(tiny_export / names.EXTRA_FOLDER / names.GOLDEN_FILE)
    rows = [
        {
            names.IMAGE_BYTES: {"b64": base64.b64encode(case.image).decode()},
            names.AGE: math.nan if case.age is None else case.age,
            names.SEX: case.sex,
            names.LOCALIZATION: case.localization,
        }
        for case in golden.cases
    ]
    request = ServeRequest(
        sources=find_models([tiny_export]), server=ServerOptions(port=0, rest=RestOptions(port=0))
    )
    with serving(request) as (server, _):
        rest = Rest(server.rest.address)
        path = f"/v1/models/{request.sources[0].name}:predict"
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda row: rest.post(path, {"instances": [row]}), rows * 2))
        found = [answer["predictions"][0] for answer in answers]
        bad = [{**rows[0], names.IMAGE_BYTES: {"b64": "AAAA"}}]
        assert rest.failure("POST", path, {"instances": bad})[0] == 400
    expected = [*golden.probabilities, *golden.probabilities]
    np.testing.assert_allclose([one[names.PROBABILITIES] for one in found], expected, atol=1e-5)
    assert found[0][names.PREDICTED_CLASS] in golden.classes


ROW = {"file_bytes": "a", "whole": [1, 2], "small": 1, "flag": True, "exact": 1.0}
TYPED = "/v1/models/typed:predict"
BAD = {
    "no such path": ("GET", "/v2/models/halves", None, 404, "No such path"),
    "no such call": ("POST", f"{HALVES}:explain", {}, 400, f"Malformed request: POST {HALVES}:explain"),
    "no such method": ("PUT", PREDICT, {}, 400, f"Malformed request: PUT {PREDICT}"),
    "predict asked with GET": ("GET", PREDICT, None, 400, f"Malformed request: GET {PREDICT}"),
    "no model": ("GET", "/v1/models", None, 400, "Missing model name in request."),
    "unknown model": (
        "POST", "/v1/models/other:predict", {"instances": [1]}, 404,
        "Servable not found for request: Latest(other)",
    ),
    "status of an unknown model": (
        "GET", "/v1/models/other", None, 404, "Could not find any versions of model other"
    ),
    "status of an unknown version": (
        "GET", f"{HALVES}/versions/9", None, 404, "Could not find version 9 of model halves"
    ),
    "unknown version": (
        "POST", f"{HALVES}/versions/9:predict", {"instances": [1]}, 404,
        "Servable not found for request: Specific(halves, 9)",
    ),
    "a version of many digits": (
        "GET", f"{HALVES}/versions/{'9' * 5000}", None, 400, "Failed to convert version"
    ),
    "unknown label": (
        "POST", f"{HALVES}/labels/canary:predict", {"instances": [1]}, 400,
        "Unrecognized servable version label: canary",
    ),
    "label and version": (
        "POST", f"{HALVES}/versions/1/labels/stable:predict", {"instances": [1]}, 400, "Malformed request"
    ),
    "no body": ("POST", PREDICT, None, 400, "JSON Parse error: The document is empty"),
    "no JSON": ("POST", PREDICT, b"{'instances': [1]}", 400, "JSON Parse error"),
    "half of a JSON": ("POST", PREDICT, b'{"instances": [1', 400, "JSON Parse error"),
    "no UTF-8": ("POST", PREDICT, b'{"instances": ["\xff"]}', 400, "JSON Parse error"),
    "half of a surrogate": (
        "POST", f"{HALVES}:regress", b'{"examples": [{"x": "\\ud800"}]}', 400, "no text that UTF-8 can spell"
    ),
    "lists in lists": ("POST", PREDICT, b'{"instances": ' + b"[" * 200_000, 400, "JSON Parse error"),
    "nested as deep as Python reads": (
        "POST", PREDICT, b'{"instances": ' + b"[" * 900 + b"1" + b"]" * 900 + b"}", 400,
        "Encountered list at unexpected level: 32",
    ),
    "a number of many digits": (
        "POST", PREDICT, b'{"instances": [' + b"9" * 5000 + b"]}", 400, "JSON Parse error"
    ),
    "no object": ("POST", PREDICT, [1], 400, "Is not object"),
    "neither rows nor columns": ("POST", PREDICT, {}, 400, "Missing 'inputs' or 'instances' key"),
    "both rows and columns": (
        "POST", PREDICT, {"instances": [1], "inputs": [1]}, 400, "expecting only one of 'inputs' or"
    ),
    "rows that are no list": ("POST", PREDICT, {"instances": {"x": 1}}, 400, "Excepting 'instances' to be"),
    "no rows": ("POST", PREDICT, {"instances": []}, 400, "No values in 'instances' array"),
    "a signature that is no name": (
        "POST", PREDICT, {"signature_name": 1, "instances": [1]}, 400,
        "'signature_name' key must be a string value",
    ),
    "unknown signature": (
        "POST", PREDICT, {"signature_name": "other", "instances": [1]}, 400,
        'Serving signature name: "other" not found in signature def',
    ),
    "unknown input": ("POST", PREDICT, {"instances": [{"z": 1}]}, 400, "does not have named input: z"),
    "rows of several inputs without names": (
        "POST", TYPED, {"instances": ["a"]}, 400, "instances is a plain list, but expecting"
    ),
    "bytes of several inputs without names": (
        "POST", TYPED, {"instances": [{"b64": "AAAA"}]}, 400, "instances is a plain list, but expecting"
    ),
    "columns of several inputs without names": (
        "POST", TYPED, {"inputs": ["a"]}, 400, "inputs is a plain value/list, but expecting an object"
    ),
    "a missing input in a row": (
        "POST", TYPED, {"instances": [ROW, {"small": 1}]}, 400,
        "keys must be equal to: exact,file_bytes,flag,small,whole",
    ),
    "a missing column": ("POST", TYPED, {"inputs": {"small": [1]}}, 400, "Missing named input: exact"),
    "objects and values": (
        "POST", PREDICT, {"instances": [{"x": 1}, 1]}, 400, "Expecting object but got list at item 1"
    ),
    "values and objects": (
        "POST", PREDICT, {"instances": [1, {"x": 1}]}, 400, "Expecting value/list but got object at item 1"
    ),
    "rows of different sizes": (
        "POST", ODD, {"instances": [[1, 2], [1]]}, 400, "Expecting tensor size: 2 but got: 1"
    ),
    "rows of different shapes": (
        "POST", ODD, {"instances": [[[1, 2]], [[1], [2]]]}, 400, "Expecting shape [1,2] but got: [2,1]"
    ),
    "ragged columns": ("POST", ODD, {"inputs": [[1, 2], [1]]}, 400, "Encountered list at unexpected size: 1"),
    "a value among lists": ("POST", ODD, {"inputs": [[1], 2]}, 400, "found at incorrect level: 2"),
    "a list among values": ("POST", PREDICT, {"inputs": [1, [2]]}, 400, "list at unexpected level"),
    "a wrong static shape": ("POST", PREDICT, {"instances": [[1]]}, 400, "must have shape [?]"),
    "text for a number": (
        "POST", PREDICT, {"instances": ["a"]}, 400,
        'JSON Value: "a" Type: String is not of expected type: float',
    ),
    "null for a number": ("POST", PREDICT, {"instances": [None]}, 400, "Type: Null is not of expected type"),
    "true for a number": ("POST", PREDICT, {"instances": [True]}, 400, "Type: True is not of expected type"),
    "bytes for a number": ("POST", PREDICT, {"instances": [{"b64": "AA=="}]}, 400, "Type: Object is not of"),
    "a number too large": ("POST", PREDICT, {"instances": [1e39]}, 400, "without loss of precision"),
    "a number too exact": ("POST", PREDICT, {"instances": [2**24 + 1]}, 400, "without loss of precision"),
    "a fraction for a whole number": (
        "POST", TYPED, {"instances": [{**ROW, "whole": [1.5, 2]}]}, 400, "is not of expected type: int64"
    ),
    "a number that a byte cannot hold": (
        "POST", TYPED, {"instances": [{**ROW, "small": 256}]}, 400, "is not of expected type: uint8"
    ),
    "a number for a text": (
        "POST", TYPED, {"instances": [{**ROW, "file_bytes": 1}]}, 400, "is not of expected type: string"
    ),
    "an object that is no base64": (
        "POST", TYPED, {"instances": [{**ROW, "file_bytes": {"b64": 1}}]}, 400,
        "not formatted correctly for base64",
    ),
    "damaged base64": (
        "POST", TYPED, {"instances": [{**ROW, "file_bytes": {"b64": "A*=="}}]}, 400, "Unable to base64 decode"
    ),
    "no examples": ("POST", f"{HALVES}:classify", {}, 400, "key 'examples' is expected and was not found"),
    "examples that are no list": (
        "POST", f"{HALVES}:regress", {"examples": {"x": 1}}, 400, "Expecting 'examples' value to be an list"
    ),
    "an empty list of examples": (
        "POST", f"{HALVES}:regress", {"examples": []}, 400, "'examples' value is an empty array"
    ),
    "an example that is no object": (
        "POST", f"{HALVES}:regress", {"examples": [1]}, 400, "Example must be JSON object but got JSON Number"
    ),
    "a feature of two kinds": (
        "POST", f"{HALVES}:regress", {"examples": [{"x": [1.0, "a"]}]}, 400,
        "Unexpected element type in feature: x expecting type: float",
    ),
    "a feature that is null": (
        "POST", f"{HALVES}:regress", {"examples": [{"x": None}]}, 400, "unexpected JSON type: Null"
    ),
    "a feature that no int64 holds": (
        "POST", f"{HALVES}:regress", {"examples": [{"x": 2**63}]}, 400, "Only int64 is supported"
    ),
    "classify with an unknown signature": (
        "POST", f"{HALVES}:classify", {"signature_name": "other", "examples": [{"x": 1.0}]}, 400,
        "No signature was found with the name: other",
    ),
    "regress with a signature that does not regress": (
        "POST", f"{HALVES}:regress", {"examples": [{"x": 1.0}]}, 400, "Expected exactly one input Tensor"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_errors(rest, name):
    method, path, body, status, phrase = BAD[name]
    found, text = rest.failure(method, path, body)
    assert (found, phrase in text) == (status, True), text


def test_the_error_map_is_whole():
    import grpc

    assert HTTP_STATUS.keys() == set(grpc.StatusCode)
    unusual = {code.name: status for code, status in HTTP_STATUS.items() if status not in (400, 500)}
    assert unusual == {
        "OK": 200, "CANCELLED": 499, "DEADLINE_EXCEEDED": 504, "NOT_FOUND": 404, "ALREADY_EXISTS": 409,
        "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "ABORTED": 409, "UNIMPLEMENTED": 501,
        "UNAVAILABLE": 503, "UNAUTHENTICATED": 401,
    }  # fmt: skip


def test_a_request_that_takes_too_long_and_one_that_is_under_way_at_the_stop(tmp_path):
    save_odd(tmp_path / "odd" / "1")
    slow = {"signature_name": "slow", "instances": [1.0]}
    sources = find_models([tmp_path])
    options = ServerOptions(port=0, rest=RestOptions(port=0, timeout=0.05))
    with serving(ServeRequest(sources=sources, server=options)) as (server, _):
        assert Rest(server.rest.address).failure("POST", ODD, slow) == (504, "Deadline exceeded")
    options = ServerOptions(port=0, rest=RestOptions(port=0))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with serving(ServeRequest(sources=sources, server=options)) as (server, models):
            rest = Rest(server.rest.address)
            answer = pool.submit(rest.post, ODD, slow)
            # It is inside once it holds the version.
            servable = models.available()[0]
            while not servable._users:
                assert not answer.done()
        assert answer.result() == {"predictions": [1.0]}
        with pytest.raises(ConnectionRefusedError):
            rest.get("/v1/models/odd")


def test_a_port_in_use():
    from skinzoo.serving.models import Models

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        rest = RestOptions(port=taken.getsockname()[1])
        with pytest.raises(ServingError, match=r"REST must be able to listen on .*already in use.*port"):
            Server(Models(), ServerOptions(port=0, rest=rest))
