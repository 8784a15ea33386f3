"""Good and bad requests against a running server: TensorFlow Serving's codes and key phrases."""

import grpc
import numpy as np
import pytest
import tensorflow as tf
from calls import (
    Stubs,
    classify,
    example,
    examples,
    metadata,
    multi,
    predict,
    regress,
    spec,
    status,
)
from saved_models import save_halves, save_odd
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    input_pb2,
    model_management_pb2,
    predict_pb2,
)

from skinzoo.serving.batching import Batching
from skinzoo.serving.folders import ModelSource, Policy
from skinzoo.serving.servable import LoadOptions
from skinzoo.serving.serve import ServeRequest, serving
from skinzoo.serving.server import ServerOptions

Code = grpc.StatusCode
X = np.array([1.0, 2.0, 5.0], np.float32)
HALVES = spec("halves", version=1)
REGRESS, CLASSIFY = "regress_x_to_y", "classify_x_to_y"


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp("models")
    save_halves(base / "halves" / "0001", 2.0)
    save_halves(base / "halves" / "2", 3.0)
    save_odd(base / "odd" / "7")
    return base


@pytest.fixture(scope="module")
def server(base):
    halves = ModelSource(
        name="halves", base_path=base / "halves", policy=Policy(latest=None), labels={"stable": 1}
    )
    odd = ModelSource(name="odd", base_path=base / "odd")
    with serving(ServeRequest(sources=[halves, odd], server=ServerOptions(port=0))) as (server, _):
        yield Stubs(server.address)


@pytest.fixture(scope="module")
def batching_server(base):
    """A server that batches every model, at most 4 rows, one batch at a time and one waiting."""
    load = LoadOptions(
        enable_batching=True,
        batching=Batching(max_batch_size=4, num_batch_threads=1, max_enqueued_batches=1),
    )
    sources = [ModelSource(name=name, base_path=base / name) for name in ("halves", "odd")]
    with serving(ServeRequest(sources=sources, load=load, server=ServerOptions(port=0))) as (server, _):
        yield Stubs(server.address)


def unparsable():
    proto = tf.make_tensor_proto(X)
    proto.tensor_content = b"123"
    return proto


def claiming_too_much():
    proto = TensorProto(dtype=tf.float32.as_datatype_enum, float_val=[1.0])
    proto.tensor_shape.dim.add().size = 2**40
    return proto


def with_context(*values):
    listed = input_pb2.ExampleListWithContext(examples=[example(x) for x in values], context=example(40.0))
    listed.examples.add()
    return input_pb2.Input(example_list_with_context=listed)


BAD = {
    "no model spec": (
        "Predict", predict_pb2.PredictRequest(), Code.INVALID_ARGUMENT, "ModelSpec has no name specified"
    ),
    "no model name": (
        "Predict", predict(spec(), {"x": X}), Code.INVALID_ARGUMENT, "ModelSpec has no name specified"
    ),
    "classify without a name": (
        "Classify", classify(spec(), examples(1)), Code.INVALID_ARGUMENT, "ModelSpec has no name specified"
    ),
    "unknown model": (
        "Predict", predict(spec("other"), {"x": X}), Code.NOT_FOUND,
        "Servable not found for request: Latest(other); models here: ",
    ),
    "unknown version": (
        "Predict", predict(spec("halves", version=9), {"x": X}), Code.NOT_FOUND,
        "Servable not found for request: Specific(halves, 9); versions here: ",
    ),
    "unknown label": (
        "Predict", predict(spec("halves", label="canary"), {"x": X}), Code.INVALID_ARGUMENT,
        "Unrecognized servable version label: canary",
    ),
    "status of an unknown model": (
        "GetModelStatus", status(spec("other")), Code.NOT_FOUND, "Could not find any versions of model other"
    ),
    "status of an unknown version": (
        "GetModelStatus", status(spec("halves", version=9)), Code.NOT_FOUND,
        "Could not find version 9 of model halves",
    ),
    "status without a spec": (
        "GetModelStatus", status(), Code.INVALID_ARGUMENT, "Missing ModelSpec"
    ),
    "predict: unknown signature": (
        "Predict", predict(spec("halves", signature="no"), {"x": X}), Code.FAILED_PRECONDITION,
        'Serving signature key "no" not found',
    ),
    "predict: the graph's own initialisation": (
        "Predict", predict(spec("halves", signature="__saved_model_init_op"), {}), Code.FAILED_PRECONDITION,
        "not found",
    ),
    "classify: unknown signature": (
        "Classify", classify(spec("halves", signature="no"), examples(1)), Code.INVALID_ARGUMENT,
        "No signature was found with the name",
    ),
    "regress: unknown signature": (
        "Regress", regress(spec("halves", signature="no"), examples(1)), Code.INVALID_ARGUMENT,
        "No signature was found with the name",
    ),
    "input missing": (
        "Predict", predict(HALVES, {}), Code.INVALID_ARGUMENT,
        "input size does not match signature: 0!=1 len({}) != len({x}). Sent extra: {}. "
        "Missing but required: {x}.",
    ),
    "input too many": (
        "Predict", predict(HALVES, {"x": X, "z": X}), Code.INVALID_ARGUMENT, "Sent extra: {z}."
    ),
    "input of another name": (
        "Predict", predict(HALVES, {"z": X}), Code.INVALID_ARGUMENT,
        "Sent extra: {z}. Missing but required: {x}.",
    ),
    "wrong type": (
        "Predict", predict(HALVES, {"x": ["a"]}), Code.INVALID_ARGUMENT,
        "Expects arg[0] to be float but string is provided",
    ),
    "unparsable tensor": (
        "Predict", predict(HALVES, {"x": unparsable()}), Code.INVALID_ARGUMENT, "tensor parsing error: x"
    ),
    "a tensor that claims more than it holds": (
        "Predict", predict(HALVES, {"x": claiming_too_much()}), Code.INVALID_ARGUMENT,
        "tensor parsing error: x",
    ),
    "tensor without a type": (
        "Predict", predict(HALVES, {"x": TensorProto()}), Code.INVALID_ARGUMENT, "tensor parsing error: x"
    ),
    "wrong shape": (
        "Predict", predict(HALVES, {"x": X[None]}), Code.INVALID_ARGUMENT, "must have shape [?]"
    ),
    "unknown output": (
        "Predict", predict(HALVES, {"x": X}, ["no"]), Code.INVALID_ARGUMENT,
        "output tensor alias not found in signature: no Outputs expected to be in the set {twice,y}.",
    ),
    "output twice": (
        "Predict", predict(HALVES, {"x": X}, ["y", "y"]), Code.INVALID_ARGUMENT,
        "duplicate output tensor alias: y",
    ),
    "classify: no examples": (
        "Classify", classify(spec("halves", signature=CLASSIFY), examples()), Code.INVALID_ARGUMENT,
        "Input is empty",
    ),
    "regress: no input": (
        "Regress", regress(spec("halves", signature=REGRESS), input_pb2.Input()), Code.INVALID_ARGUMENT,
        "Input is empty",
    ),
    "classify: an example without the feature": (
        "Classify",
        classify(
            spec("halves", signature=CLASSIFY),
            input_pb2.Input(example_list=input_pb2.ExampleList(examples=[tf.train.Example()])),
        ),
        Code.INVALID_ARGUMENT, "x",
    ),
    "classify: a signature over tensors": (
        "Classify", classify(spec("halves"), examples(1)), Code.FAILED_PRECONDITION, "key 'inputs'"
    ),
    "regress: a signature that classifies": (
        "Regress", regress(spec("halves", signature=CLASSIFY), examples(1)), Code.FAILED_PRECONDITION,
        "key 'outputs'",
    ),
    "regress: two numbers a case": (
        "Regress", regress(spec("odd", signature="pairs"), examples(1, 2, 3)), Code.FAILED_PRECONDITION,
        "either [batch_size] or [batch_size, 1] but got [3, 2]",
    ),
    "regress: whole numbers": (
        "Regress", regress(spec("odd", signature="whole"), examples(1)), Code.FAILED_PRECONDITION,
        "output Tensor of type float",
    ),
    "metadata without a field": (
        "GetModelMetadata", metadata(spec("halves")), Code.INVALID_ARGUMENT, "at least one metadata_field"
    ),
    "metadata of another field": (
        "GetModelMetadata", metadata(spec("halves"), "weights"), Code.INVALID_ARGUMENT,
        "Metadata field weights is not supported",
    ),
    "metadata of an unknown model": (
        "GetModelMetadata", metadata(spec("other"), "signature_def"), Code.NOT_FOUND, "Servable not found"
    ),
    "metadata without a spec": (
        "GetModelMetadata",
        get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]),
        Code.INVALID_ARGUMENT, "Missing ModelSpec",
    ),
    "several inferences: two models": (
        "MultiInference",
        multi([(spec("halves", signature=REGRESS), "regress"), (spec("odd"), "regress")], examples(1)),
        Code.INVALID_ARGUMENT, "must access the same model name",
    ),
    "several inferences: a signature twice": (
        "MultiInference", multi([(spec("halves", signature=REGRESS), "regress")] * 2, examples(1)),
        Code.INVALID_ARGUMENT, "Duplicate evaluation of signature: regress_x_to_y",
    ),
    "several inferences: a method that is none of the two": (
        "MultiInference", multi([(spec("halves"), "predict")], examples(1)), Code.UNIMPLEMENTED,
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
    "several inferences: none": (
        "MultiInference", multi([], examples(1)), Code.INVALID_ARGUMENT, "at least one task"
    ),
    "reload: nothing": (
        "HandleReloadConfigRequest", model_management_pb2.ReloadConfigRequest(), Code.INVALID_ARGUMENT,
        "model_config_list",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_gets_the_code_and_the_phrase(server, case):
    name, request, code, phrase = BAD[case]
    found, text = server.failure(name, request)
    assert (found, phrase in text) == (code, True), (found, text)


def test_a_text_has_at_most_1024_characters(server):
    code, text = server.failure("Predict", predict(spec("halves", signature="s" * 5000), {"x": X}))
    assert code is Code.FAILED_PRECONDITION
    assert len(text) == 1024
    assert text.startswith('Serving signature key "sss')


def test_predict_echoes_what_was_resolved(server):
    for model, version, offset in (
        (spec("halves"), 2, 3),
        (spec("halves", version=1), 1, 2),
        (spec("halves", label="stable"), 1, 2),
    ):
        answer = server.call("Predict", predict(model, {"x": X}))
        assert answer.model_spec == spec("halves", version=version, signature="serving_default")
        assert sorted(answer.outputs) == ["twice", "y"]
        assert list(answer.outputs["y"].float_val) == (X / 2 + offset).tolist()
        assert not answer.outputs["y"].tensor_content
        assert [dim.size for dim in answer.outputs["y"].tensor_shape.dim] == [3]


def test_predict_returns_only_what_the_filter_names(server):
    assert sorted(server.run(HALVES, {"x": X}, ["twice"])) == ["twice"]


def test_predict_takes_typed_fields_and_one_value_for_all(server):
    typed = TensorProto(dtype=tf.float32.as_datatype_enum, float_val=X.tolist())
    typed.tensor_shape.dim.add().size = 3
    assert server.run(HALVES, {"x": typed})["y"].tolist() == [2.5, 3.0, 4.5]
    same = TensorProto(dtype=tf.float32.as_datatype_enum, float_val=[1.0])
    same.tensor_shape.dim.add().size = 2
    assert server.run(HALVES, {"x": same})["y"].tolist() == [2.5, 2.5]


def test_predict_takes_no_rows(server, batching_server):
    for stubs in (server, batching_server):
        assert stubs.run(spec("halves"), {"x": X[:0]})["y"].tolist() == []


def test_classify_and_regress(server):
    answer = server.call("Classify", classify(spec("halves", 1, signature=CLASSIFY), examples(1, 5)))
    assert answer.model_spec == spec("halves", 1, signature=CLASSIFY)
    assert [[(c.label, c.score) for c in row.classes] for row in answer.result.classifications] == [
        [("as it is", 1.0), ("halved", 2.5)],
        [("as it is", 5.0), ("halved", 4.5)],
    ]
    answer = server.call("Regress", regress(spec("halves", 1, signature=REGRESS), examples(1, 5)))
    assert answer.model_spec == spec("halves", 1, signature=REGRESS)
    assert [one.value for one in answer.result.regressions] == [2.5, 4.5]


def test_context_fills_what_an_example_lacks(server):
    answer = server.call("Regress", regress(spec("halves", 1, signature=REGRESS), with_context(1)))
    assert [one.value for one in answer.result.regressions] == [2.5, 22.0]


def test_several_inferences_on_the_same_examples(server):
    tasks = [
        (spec("halves", 1, signature=REGRESS), "regress"),
        (spec("halves", 1, signature=CLASSIFY), "classify"),
    ]
    regression, classification = server.call("MultiInference", multi(tasks, examples(1, 5))).results
    assert regression.model_spec == tasks[0][0]
    assert [one.value for one in regression.regression_result.regressions] == [2.5, 4.5]
    found = classification.classification_result.classifications
    assert [[c.score for c in row.classes] for row in found] == [[1.0, 2.5], [5.0, 4.5]]


def test_metadata_holds_the_signatures(server):
    answer = server.call("GetModelMetadata", metadata(spec("halves"), "signature_def"))
    assert answer.model_spec == spec("halves", 2)
    found = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(found)
    assert {"serving_default", REGRESS, CLASSIFY} <= set(found.signature_def)
    assert found.signature_def["serving_default"].inputs["x"].dtype == tf.float32.as_datatype_enum


def test_status_of_one_version_and_of_all(server):
    found = server.call("GetModelStatus", status(spec("halves"))).model_version_status
    assert [(one.version, one.state, one.status.error_code) for one in found] == [(2, 30, 0), (1, 30, 0)]
    found = server.call("GetModelStatus", status(spec("halves", version=1))).model_version_status
    assert [one.version for one in found] == [1]
    # A label is not looked at.
    found = server.call("GetModelStatus", status(spec("halves", label="no"))).model_version_status
    assert len(found) == 2


def test_more_rows_than_a_batch_takes(batching_server):
    code, text = batching_server.failure("Predict", predict(spec("halves"), {"x": [1.0] * 5}))
    assert code is Code.INVALID_ARGUMENT
    assert "Task size 5 is larger than maximum input batch size 4" in text


def test_an_output_without_the_batch_dimension(batching_server):
    code, text = batching_server.failure("Predict", predict(spec("odd", signature="scalar"), {"x": X}))
    assert code is Code.FAILED_PRECONDITION, text


def test_a_full_queue(batching_server):
    slow = predict(spec("odd", signature="slow"), {"x": [1.0] * 4})
    pending = [batching_server.prediction.Predict.future(slow, timeout=300) for _ in range(8)]
    failures = [one.exception(timeout=300) for one in pending]
    refused = [one for one in failures if one is not None]
    assert refused
    assert len(refused) < 8
    for one in refused:
        assert (one.code(), "queue" in one.details()) == (Code.UNAVAILABLE, True), one.details()


def test_a_deadline_that_is_over(server):
    slow = predict(spec("odd", signature="slow"), {"x": [1.0]})
    assert server.failure("Predict", slow, timeout=0.001)[0] is Code.DEADLINE_EXCEEDED
    # The server answers as before.
    assert server.run(HALVES, {"x": X[:1]})["y"].tolist() == [2.5]
