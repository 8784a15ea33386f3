"""Inputs that nobody meant: whatever comes, a server answers with a defined status and stays as it was.

The default run sends some 500 inputs, `--slow` more than 10,000. The server is a process of its own, so that
one that crashes or hangs does not take the test with it.
"""

import base64
import contextlib
import functools
import http.client
import io
import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import grpc
import pytest
from calls import Stubs, example, predict, spec
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from processes import serving
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)
from typed_servers import Golden

from skinzoo.errors import SkinzooError
from skinzoo.serving.batching import read_batching
from skinzoo.serving.config import read_config
from skinzoo.serving.tls import read_ssl_config
from skinzoo.serving.tokens import read_tokens
from skinzoo.v1 import lesion_classifier_pb2 as pb

SECONDS = 60
_TENSORFLOW, _TYPED = "/tensorflow.serving.PredictionService/", "/skinzoo.v1.LesionClassifier/"
MODELS = "/tensorflow.serving.ModelService/"
METHODS = {
    _TENSORFLOW + "Predict": predict_pb2.PredictRequest,
    _TENSORFLOW + "Classify": classification_pb2.ClassificationRequest,
    _TENSORFLOW + "Regress": regression_pb2.RegressionRequest,
    _TENSORFLOW + "MultiInference": inference_pb2.MultiInferenceRequest,
    _TENSORFLOW + "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    MODELS + "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    MODELS + "HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
    _TYPED + "Classify": pb.ClassifyRequest,
    _TYPED + "Explain": pb.ExplainRequest,
    _TYPED + "GetModelCard": pb.GetModelCardRequest,
}
DEFINED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
DEFINED_FOR_REST = {200, 400, 404, 413, 429, 501}
MOST_GROWTH_MIB = 600
HAS_REST = all(find_spec(name) for name in ("starlette", "uvicorn"))


@pytest.fixture
def fuzz(request):
    """Try a function with a share of the inputs: of 500 by default, of 10,000 with `--slow`."""
    full = request.config.getoption("--slow")

    def run(share, one):
        chosen = settings(
            max_examples=round(share * (10_000 if full else 500)),
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            derandomize=not full,
        )
        chosen(given(st.data())(one))()

    return run


class Target:
    """The server, and what is known of it."""

    def __init__(self, process, address, golden, said):
        rest = re.search(r"REST on (\S+):(\d+)\.", said[-1])
        self.rest = (rest[1], int(rest[2])) if rest else None
        self.process = process
        self.golden = golden
        self.stubs = Stubs(address)
        self._channel = grpc.insecure_channel(address)

    def memory_mib(self, field="VmRSS"):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024

    def post(self, path, body):
        """Send a body to REST; the answer must be JSON with a defined status."""
        connection = http.client.HTTPConnection(*self.rest, timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", path, body)
            answer = connection.getresponse()
            content = answer.read()
        assert answer.status in DEFINED_FOR_REST, (answer.status, content)
        assert answer.status == 200 or json.loads(content)["error"], content

    def send(self, method, message):
        """Send bytes; the answer must be a defined status."""
        if method == MODELS + "HandleReloadConfigRequest" and _unloads(message):
            return
        try:
            self._channel.unary_unary(method)(message, timeout=SECONDS)
        except grpc.RpcError as error:
            code, text = error.code(), error.details()
            if code is grpc.StatusCode.INTERNAL:
                # gRPC's own word for bytes that are no message.
                assert text == "Exception deserializing request!", text
            else:
                assert code in DEFINED, (code, text)


def _unloads(message):
    """Whether a configuration names no model, at which all are unloaded, as they should be."""
    try:
        config = model_management_pb2.ReloadConfigRequest.FromString(message).config
    except DecodeError:
        return False
    return config.WhichOneof("config") == "model_config_list" and not config.model_config_list.config


@pytest.fixture(scope="module")
def target(tiny_export, tmp_path_factory):
    home = tmp_path_factory.mktemp("fuzzing")
    rest = ["--rest-api-port=-1"] if HAS_REST else []
    with serving(tiny_export.parent, *rest, home=home) as (process, address, said):
        found = Target(process, address, Golden(tiny_export), said)
        golden_answers(found)
        before = found.memory_mib()
        yield found
        # It has neither died nor lost its model nor kept what came in.
        assert process.poll() is None
        golden_answers(found)
        assert found.memory_mib() < before + MOST_GROWTH_MIB
        assert found.memory_mib("VmHWM") < before + 2 * MOST_GROWTH_MIB


def golden_answers(target):
    request = pb.ClassifyRequest(cases=[pb.Case(image=one.image) for one in target.golden.cases])
    answer = target.stubs.channel.unary_unary(
        _TYPED + "Classify", response_deserializer=pb.ClassifyResponse.FromString
    )(request.SerializeToString(), timeout=SECONDS)
    assert all(one.HasField("classification") for one in answer.results)


NAMES = st.sampled_from(
    ["tiny", "", "age", "sex", "image_bytes", "localization", "inputs", "image", "tensors", "decode",
     "classify", "explain", "serving_default", "image_only", "features", "probabilities"]
) | st.text(max_size=8)  # fmt: skip
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 3)


@st.composite
def mutated(draw, start):
    """Return bytes with a few of them changed, left out or put in."""
    found = bytearray(start)
    for _ in range(draw(st.integers(1, 6))):
        if not found:
            break
        at = draw(st.integers(0, len(found) - 1))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            found[at] = draw(st.integers(0, 255))
        elif kind == 1:
            del found[at : at + draw(st.integers(1, 64))]
        elif kind == 2:
            found[at:at] = draw(st.binary(min_size=1, max_size=16))
        else:
            del found[at:]
    return bytes(found)


@st.composite
def messages(draw, kind, depth=0):
    """Return a message of a type, filled with whatever its fields can hold."""
    message = kind()
    for field in kind.DESCRIPTOR.fields:
        if draw(st.integers(0, 2)) == 0 and depth:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _fill_map(draw, message, field, depth)
        elif field.is_repeated:
            for _ in range(draw(st.integers(0, 3))):
                if field.message_type is None:
                    getattr(message, field.name).append(_value(draw, field))
                elif depth < 5:
                    getattr(message, field.name).add().CopyFrom(draw(_of(field.message_type, depth)))
        elif field.message_type is None:
            setattr(message, field.name, _value(draw, field))
        elif depth < 5:
            getattr(message, field.name).CopyFrom(draw(_of(field.message_type, depth)))
    return message


def _fill_map(draw, message, field, depth):
    value = field.message_type.fields_by_name["value"]
    for _ in range(draw(st.integers(0, 3))):
        key = draw(NAMES) if field.message_type.fields_by_name["key"].cpp_type == 9 else 0
        if value.message_type is not None:
            getattr(message, field.name)[key].CopyFrom(draw(_of(value.message_type, depth)))
        else:
            getattr(message, field.name)[key] = _value(draw, value)


def _of(descriptor, depth):
    if descriptor.full_name == "tensorflow.TensorProto":
        return tensors()
    return messages(descriptor._concrete_class, depth + 1)


def _value(draw, field):
    if field.enum_type is not None:
        return draw(st.sampled_from([one.number for one in field.enum_type.values]))
    kind = field.cpp_type
    if kind == field.CPPTYPE_STRING:
        return draw(NAMES) if field.type == field.TYPE_STRING else draw(st.binary(max_size=64))
    if kind == field.CPPTYPE_BOOL:
        return draw(st.booleans())
    if kind in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return draw(st.floats(width=32))
    low, high = {
        field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
        field.CPPTYPE_UINT32: (0, 2**32 - 1),
        field.CPPTYPE_UINT64: (0, 2**64 - 1),
    }.get(kind, (-(2**63), 2**63 - 1))
    return min(max(draw(NUMBERS), low), high)


@st.composite
def tensors(draw):
    """Return a tensor whose type, shape and values need not fit together."""
    tensor = TensorProto(dtype=draw(st.sampled_from([1, 3, 4, 7, 9, 10, 7, 1])))
    for _ in range(draw(st.integers(0, 4))):
        tensor.tensor_shape.dim.add().size = draw(st.sampled_from([0, 1, 2, 3, 32, 2**20, 2**31, 2**62, -1]))
    tensor.tensor_shape.unknown_rank = draw(st.integers(0, 9)) == 0
    tensor.string_val.extend(draw(st.lists(st.binary(max_size=40), max_size=3)))
    tensor.float_val.extend(draw(st.lists(st.floats(width=32), max_size=3)))
    tensor.int_val.extend(draw(st.lists(st.integers(-300, 300), max_size=2)))
    if draw(st.integers(0, 3)) == 0:
        tensor.tensor_content = draw(st.binary(max_size=48))
    return tensor


def test_messages_of_the_right_type(target, fuzz):
    def one(data):
        method = data.draw(st.sampled_from(sorted(METHODS)))
        message = data.draw(messages(METHODS[method]))
        target.send(method, message.SerializeToString())

    fuzz(0.3, one)


def test_predict_requests_that_are_nearly_right(target, fuzz):
    def one(data):
        case = target.golden.cases[0]
        request = predict(
            spec(data.draw(st.sampled_from(["tiny", "tiny", "tiny"])), signature=data.draw(NAMES)),
            {"image_bytes": [case.image], "age": [50.0], "sex": ["male"], "localization": ["back"]},
        )
        for name in data.draw(st.lists(st.sampled_from(sorted(request.inputs)) | NAMES, max_size=3)):
            request.inputs[name].CopyFrom(data.draw(tensors()))
        target.send(_TENSORFLOW + "Predict", request.SerializeToString())

    fuzz(0.15, one)


def test_bytes_that_are_no_message_or_a_damaged_one(target, fuzz):
    def one(data):
        method = data.draw(st.sampled_from(sorted(METHODS)))
        case = target.golden.cases[0]
        whole = {
            _TENSORFLOW + "Predict": predict(spec("tiny"), {"image_bytes": [case.image[:300]], "age": [5.0]}),
            _TYPED + "Classify": pb.ClassifyRequest(cases=[pb.Case(id="a", image=case.image[:300], age=4.0)]),
        }.get(method, classification_pb2.ClassificationRequest(model_spec=spec("tiny")))
        target.send(method, data.draw(st.binary(max_size=200) | mutated(whole.SerializeToString())))

    fuzz(0.15, one)


def test_image_files_that_are_damaged_or_lie(target, fuzz):
    def one(data):
        start = data.draw(st.sampled_from([*_files(), target.golden.cases[0].image]))
        file = data.draw(mutated(start) | mutated(start[:64]) | st.binary(max_size=80))
        if data.draw(st.booleans()):
            cases = [pb.Case(image=file), pb.Case(image=target.golden.cases[0].image)]
            target.send(_TYPED + "Classify", pb.ClassifyRequest(cases=cases).SerializeToString())
            return
        name = data.draw(st.sampled_from(["image_only", "decode", "classify"]))
        if name == "classify":
            request = classification_pb2.ClassificationRequest(model_spec=spec("tiny", signature=name))
            one = example(1.0)
            one.features.feature["image_bytes"].bytes_list.value.append(file)
            request.input.example_list.examples.append(one)
            target.send(_TENSORFLOW + "Classify", request.SerializeToString())
            return
        request = predict(spec("tiny", signature=name), {"image_bytes": [file]})
        target.send(_TENSORFLOW + "Predict", request.SerializeToString())

    fuzz(0.25, one)


@functools.cache
def _files():
    found = []
    kinds = [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "P"), ("PNG", "I;16")]
    for kind, mode in [*kinds, ("GIF", "P"), ("BMP", "RGB"), ("BMP", "P")]:
        stream = io.BytesIO()
        Image.new(mode, (24, 16)).save(stream, kind)
        found.append(stream.getvalue())
    return found


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | NAMES
KEYS = NAMES | st.sampled_from(["b64", "instances", "inputs", "examples"])
LISTS = st.lists(LEAVES | st.lists(LEAVES, max_size=3), max_size=3)
VALUES = LEAVES | LISTS | st.dictionaries(KEYS, LEAVES | LISTS, max_size=3)
APIS = st.sampled_from(["predict", "classify", "regress", "PREDICT", "multi", ""])


@pytest.mark.skipif(not HAS_REST, reason="skinzoo[rest] is not installed")
def test_rest_bodies(target, fuzz):
    def one(data):
        image = base64.b64encode(data.draw(st.sampled_from(_files()) | st.binary(max_size=30))).decode()
        row = {"image_bytes": {"b64": image}, "age": 50, "sex": "male", "localization": "back"}
        row |= data.draw(st.dictionaries(NAMES, VALUES, max_size=2))
        document = {
            data.draw(st.sampled_from(["instances", "inputs", "examples"])): data.draw(
                st.sampled_from([[row], [row, row], row, [{"image_bytes": {"b64": image}}]]) | VALUES
            ),
            **data.draw(
                st.dictionaries(st.sampled_from(["signature_name", "context"]) | NAMES, VALUES, max_size=2)
            ),
        }
        body = json.dumps(document).encode()
        body = data.draw(st.just(body) | st.just(body) | mutated(body) | st.binary(max_size=60))
        version = data.draw(st.sampled_from(["", "", "/versions/1", f"/versions/{2**70}", "/labels/x"]))
        target.post(f"/v1/models/tiny{version}:{data.draw(APIS)}", body)

    fuzz(0.25, one)


CONFIGS = {
    read_config: b'model_config_list { config { name: "m" base_path: "/m" model_platform: "tensorflow" '
    b'model_version_policy { specific { versions: 3 } } version_labels { key: "stable" value: 3 } } }',
    read_batching: b"max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8",
    read_ssl_config: b'server_key: "-----BEGIN PRIVATE KEY-----\\nMIG" server_cert: "x" client_verify: true',
    read_tokens: b"0123456789abcdef0123\nfedcba98765432100000\n",
}


def test_config_files(tmp_path_factory, fuzz):
    def one(data):
        read = data.draw(st.sampled_from(sorted(CONFIGS, key=lambda one: one.__name__)))
        path = tmp_path_factory.getbasetemp() / "fuzzed.config"
        path.write_bytes(data.draw(mutated(CONFIGS[read]) | st.binary(max_size=100) | _texts()))
        try:
            read(path)
        except SkinzooError as error:
            assert error.message

    fuzz(0.15, one)


def _texts():
    return st.text(st.sampled_from("{}:\"\\' \n-0123456789abcdefmaxvalue_[],<>#"), max_size=80).map(
        str.encode
    )


@pytest.mark.slow
def test_readers_with_inputs_that_reach_new_lines(tmp_path):
    pytest.importorskip("atheris", reason="atheris is not installed: skinzoo[fuzz]")
    script = Path(__file__).with_name("guided_fuzzing.py")
    done = subprocess.run(
        [sys.executable, script, "-atheris_runs=10000", "-timeout=60", "-rss_limit_mb=4096"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
