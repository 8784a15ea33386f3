"""The calls of TensorFlow Serving's PredictionService on one loaded version."""

from __future__ import annotations

import grpc
import numpy as np
import tensorflow as tf
from google.protobuf import any_pb2
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from skinzoo.serving.servable import Servable
from skinzoo.serving.signatures import DEFAULT_SIGNATURE, check_filter, check_names, find
from skinzoo.serving.status import RpcError, failed_precondition, invalid_argument
from skinzoo.serving.tensors import to_array, to_proto

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_INPUTS, _CLASSES, _SCORES, _OUTPUTS = "inputs", "classes", "scores", "outputs"
_SIGNATURE_DEF = "signature_def"


def predict(
    servable: Servable,
    request: predict_pb2.PredictRequest,
    *,
    timeout: float | None = None,
    as_content: bool = False,
) -> predict_pb2.PredictResponse:
    """Answer a Predict request.

    Args:
        servable: The version that was found for it.
        request: The request.
        timeout: Seconds that are left.
        as_content: Answer with `tensor_content` instead of typed fields.

    Raises:
        RpcError: The request cannot be answered.
    """
    name, definition = find(servable.signatures, request.model_spec.signature_name)
    check_names(definition, request.inputs.keys())
    check_filter(definition, request.output_filter)
    inputs = {}
    for alias, tensor in request.inputs.items():
        try:
            inputs[alias] = to_array(tensor)
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise invalid_argument(f"tensor parsing error: {alias} ({error})") from error
    outputs = servable.run(name, inputs, output_filter=request.output_filter, timeout=timeout)
    response = predict_pb2.PredictResponse(model_spec=_spec(servable, name))
    for alias, value in outputs.items():
        response.outputs[alias].CopyFrom(to_proto(value, as_content=as_content))
    return response


def classify(
    servable: Servable, request: classification_pb2.ClassificationRequest, *, timeout: float | None = None
) -> classification_pb2.ClassificationResponse:
    """Answer a Classify request; arguments as those of `predict`."""
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    result = _classification(servable, name, request.input, timeout)
    return classification_pb2.ClassificationResponse(model_spec=_spec(servable, name), result=result)


def regress(
    servable: Servable, request: regression_pb2.RegressionRequest, *, timeout: float | None = None
) -> regression_pb2.RegressionResponse:
    """Answer a Regress request; arguments as those of `predict`."""
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    result = _regression(servable, name, request.input, timeout)
    return regression_pb2.RegressionResponse(model_spec=_spec(servable, name), result=result)


def multi_inference(
    servable: Servable, request: inference_pb2.MultiInferenceRequest, *, timeout: float | None = None
) -> inference_pb2.MultiInferenceResponse:
    """Answer a MultiInference request, whose tasks all ask one model; arguments as those of `predict`."""
    check_tasks(request)
    response = inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        result = response.results.add(model_spec=_spec(servable, name))
        if task.method_name == CLASSIFY:
            result.classification_result.CopyFrom(_classification(servable, name, request.input, timeout))
        else:
            result.regression_result.CopyFrom(_regression(servable, name, request.input, timeout))
    return response


def check_tasks(request: inference_pb2.MultiInferenceRequest) -> None:
    """Check the tasks of a MultiInference request against each other.

    Raises:
        RpcError: They ask several models, one signature twice, or for an unsupported method.
    """
    if not request.tasks:
        raise invalid_argument("Inference request must have at least one task")
    seen: set[str] = set()
    for task in request.tasks:
        if task.model_spec.name != request.tasks[0].model_spec.name:
            raise invalid_argument(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        name = task.model_spec.signature_name or DEFAULT_SIGNATURE
        if name in seen:
            raise invalid_argument(f"Duplicate evaluation of signature: {name}")
        seen.add(name)
        if task.method_name not in (CLASSIFY, REGRESS):
            raise RpcError(
                grpc.StatusCode.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}"
            )


def check_metadata_fields(request: get_model_metadata_pb2.GetModelMetadataRequest) -> None:
    """Check what a GetModelMetadata request asks for.

    Raises:
        RpcError: It asks for nothing, or for what there is not.
    """
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != _SIGNATURE_DEF:
            raise invalid_argument(f"Metadata field {field} is not supported")


def metadata(servable: Servable) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Return the signatures of a version."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in servable.signatures.items():
        signatures.signature_def[name].CopyFrom(definition)
    packed = any_pb2.Any()
    packed.Pack(signatures)
    return get_model_metadata_pb2.GetModelMetadataResponse(
        model_spec=_spec(servable), metadata={_SIGNATURE_DEF: packed}
    )


def _spec(servable: Servable, signature: str = "") -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=servable.name, signature_name=signature)
    spec.version.value = servable.version
    return spec


def _examples(source: input_pb2.Input) -> np.ndarray:
    kind = source.WhichOneof("kind")
    if kind == "example_list":
        found = [one.SerializeToString() for one in source.example_list.examples]
    elif kind == "example_list_with_context":
        listed = source.example_list_with_context
        context = listed.context.SerializeToString()
        # One message after another is their merge, in which the example's own features win.
        found = [context + one.SerializeToString() for one in listed.examples]
    else:
        found = []
    if not found:
        raise invalid_argument("Input is empty.")
    examples = np.empty(len(found), object)
    examples[:] = found
    return examples


def _signature(servable: Servable, name: str, outputs: tuple[str, ...]) -> SignatureDef:
    if name not in servable.signatures or name.startswith("__"):
        raise invalid_argument(f"No signature was found with the name: {name}")
    definition = servable.signatures[name]
    if set(definition.inputs) != {_INPUTS}:
        raise failed_precondition(
            f"Expected exactly one input Tensor with the key '{_INPUTS}' in signature {name}. "
            f"Received: {', '.join(sorted(definition.inputs)) or 'none'}"
        )
    if definition.inputs[_INPUTS].dtype != tf.string.as_datatype_enum:
        raise failed_precondition(
            f"Expected input Tensor '{_INPUTS}' of signature {name} to be of type string"
        )
    if not set(outputs) & set(definition.outputs):
        raise failed_precondition(
            f"Expected an output Tensor with the key {' or '.join(map(repr, outputs))} in signature {name}. "
            f"Received: {', '.join(sorted(definition.outputs)) or 'none'}"
        )
    return definition


def _classification(
    servable: Servable, name: str, source: input_pb2.Input, timeout: float | None
) -> classification_pb2.ClassificationResult:
    definition = _signature(servable, name, (_CLASSES, _SCORES))
    examples = _examples(source)
    wanted = [key for key in (_CLASSES, _SCORES) if key in definition.outputs]
    found = servable.run(name, {_INPUTS: examples}, output_filter=wanted, timeout=timeout)
    tables = {key: _table(value, key, len(examples)) for key, value in found.items()}
    if len({table.shape for table in tables.values()}) > 1:
        raise failed_precondition("Tensors class and score should match in size")
    labels, scores = tables.get(_CLASSES), tables.get(_SCORES)
    if labels is not None and labels.dtype.kind not in "OSU":
        raise failed_precondition("Expected classes Tensor of type string")
    if scores is not None and scores.dtype != np.float32:
        raise failed_precondition("Expected scores Tensor of type float")
    columns = next(iter(tables.values())).shape[1]
    result = classification_pb2.ClassificationResult()
    for row in range(len(examples)):
        classes = result.classifications.add().classes
        for column in range(columns):
            classes.add(
                label=labels[row, column] if labels is not None else "",
                score=float(scores[row, column]) if scores is not None else 0.0,
            )
    return result


def _regression(
    servable: Servable, name: str, source: input_pb2.Input, timeout: float | None
) -> regression_pb2.RegressionResult:
    _signature(servable, name, (_OUTPUTS,))
    examples = _examples(source)
    found = servable.run(name, {_INPUTS: examples}, output_filter=[_OUTPUTS], timeout=timeout)[_OUTPUTS]
    if found.dtype != np.float32:
        raise failed_precondition("Expected output Tensor of type float")
    if found.shape not in ((len(examples),), (len(examples), 1)):
        raise failed_precondition(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{list(found.shape)}"
        )
    return regression_pb2.RegressionResult(
        regressions=[regression_pb2.Regression(value=value) for value in found.ravel().tolist()]
    )


def _table(value: np.ndarray, name: str, rows: int) -> np.ndarray:
    if value.ndim != 2 or value.shape[0] != rows:
        raise failed_precondition(
            f"Expected {name} Tensor of shape [batch_size, classes] with batch size {rows}, "
            f"but got {list(value.shape)}"
        )
    return value
