"""From arrays and messages to the JSON of an answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow_serving.apis import classification_pb2, get_model_metadata_pb2, regression_pb2

from skinzoo.serving.rest.to_tensors import Format
from skinzoo.serving.status import invalid_argument

_BYTES_SUFFIX = "_bytes"


def of_outputs(outputs: Mapping[str, np.ndarray], layout: Format) -> bytes:
    """Return the answer to a predict request.

    Args:
        outputs: Output name to array.
        layout: The format of the request.

    Raises:
        RpcError: They cannot be written in this format.
    """
    if not outputs:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    if layout is Format.ROWS:
        _check_rows(outputs)
    columns = {name: _nested(name, value) for name, value in sorted(outputs.items())}
    content: Any = columns
    if len(columns) == 1:
        content = next(iter(columns.values()))
    elif layout is Format.ROWS:
        content = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return _dumped({layout.value: content})


def of_classifications(result: classification_pb2.ClassificationResult) -> bytes:
    """Return the answer to a classify request."""
    return _dumped(
        {
            "results": [
                [
                    [one.label, score]
                    for one, score in zip(row.classes, _short(one.score for one in row.classes), strict=True)
                ]
                for row in result.classifications
            ]
        }
    )


def of_regressions(result: regression_pb2.RegressionResult) -> bytes:
    """Return the answer to a regress request."""
    return _dumped({"results": _short(one.value for one in result.regressions)})


def of_metadata(response: get_model_metadata_pb2.GetModelMetadataResponse) -> bytes:
    """Return the answer to a metadata request."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata["signature_def"].Unpack(signatures)
    return _dumped(
        {
            "model_spec": _of_message(response.model_spec),
            "metadata": {"signature_def": _of_message(signatures)},
        }
    )


def of_status(response: Message) -> bytes:
    """Return the answer to a status request."""
    return _dumped(_of_message(response))


def _dumped(content: Any) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _of_message(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _check_rows(outputs: Mapping[str, np.ndarray]) -> None:
    rows: int | None = None
    for name, value in outputs.items():
        if not value.ndim:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if rows not in (None, len(value)):
            raise invalid_argument(
                f"Tensor name: {name} has inconsistent batch size: {len(value)} expecting: {rows}"
            )
        rows = len(value)


def _nested(name: str, value: np.ndarray) -> Any:
    """Return an array as nested lists of what JSON knows."""
    if value.dtype.kind in "OSU":
        flat = np.empty(value.size, object)
        flat[:] = [_text(name, one) for one in value.ravel().tolist()]
        return flat.reshape(value.shape).tolist()
    dtype = tf.dtypes.as_dtype(value.dtype)
    if dtype in (tf.float16, tf.bfloat16, tf.float32):
        return _shortest(value.astype(np.float32)).tolist()
    if dtype == tf.float64 or dtype.is_integer or dtype == tf.bool:
        return value.tolist()
    raise invalid_argument(f"Failed to write JSON value for tensor type: {dtype.name}")


def _text(name: str, value: bytes | str) -> Any:
    given = value.encode() if isinstance(value, str) else value
    if name.endswith(_BYTES_SUFFIX):
        return {"b64": base64.b64encode(given).decode()}
    try:
        return given.decode()
    except UnicodeDecodeError as error:
        raise invalid_argument(
            f"Tensor name: {name} holds bytes that are no text. JSON can hold them where the name ends in "
            f"'{_BYTES_SUFFIX}'."
        ) from error


def _short(values: Iterable[float]) -> list[float]:
    found: list[float] = _shortest(np.fromiter(values, np.float32)).tolist()
    return found


def _shortest(values: np.ndarray) -> np.ndarray:
    """Return float32 values as the doubles with the fewest digits that are still the same float32.

    0.2 is written as 0.2, not as 0.20000000298023224.
    """
    return values.astype("U").astype(np.float64)
