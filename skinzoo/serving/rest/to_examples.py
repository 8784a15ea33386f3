"""From the JSON of a classify or regress request to examples, with TensorFlow Serving's rules and errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import input_pb2

from skinzoo.serving.rest.documents import is_base64, malformed, shown, to_bytes, type_name
from skinzoo.serving.status import RpcError, invalid_argument

_EXAMPLES, _CONTEXT = "examples", "context"
_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}
_LARGEST_FLOAT = float(tf.float32.max)


def read_examples(document: Mapping[str, Any]) -> input_pb2.Input:
    """Return the examples of a request.

    Args:
        document: The body.

    Raises:
        RpcError: It holds none, or what no example can hold.
    """
    found = input_pb2.Input()
    listed: Any = found.example_list
    if _CONTEXT in document:
        listed = found.example_list_with_context
        listed.context.CopyFrom(_example(document[_CONTEXT]))
    if _EXAMPLES not in document:
        raise malformed(document, "When method is classify, key 'examples' is expected and was not found")
    given = document[_EXAMPLES]
    if not isinstance(given, list):
        raise malformed(document, "Expecting 'examples' value to be an list/array")
    if not given:
        raise malformed(document, "'examples' value is an empty array")
    listed.examples.extend(_example(one) for one in given)
    return found


def _example(given: Any) -> tf.train.Example:
    if not isinstance(given, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type_name(given)}")
    example = tf.train.Example()
    for name, content in given.items():
        feature = example.features.feature[name]
        for value in content if isinstance(content, list) else [content]:
            kind, plain = _plain(value, name)
            if feature.WhichOneof("kind") not in (None, kind):
                raise invalid_argument(
                    f"Unexpected element type in feature: {name} expecting type: "
                    f"{_KINDS[feature.WhichOneof('kind')]}"
                )
            getattr(feature, kind).value.append(plain)
    return example


def _plain(value: Any, name: str) -> tuple[str, Any]:
    """Return the list of a feature that a value belongs to, and the value as it stands there."""
    if isinstance(value, str) or is_base64(value):
        return "bytes_list", to_bytes(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise invalid_argument(f"Feature: {name} has uint64 element. Only int64 is supported.")
        return "int64_list", int(value)
    if isinstance(value, float):
        if math.isfinite(value) and abs(value) > _LARGEST_FLOAT:
            raise _lossy(value)
        return "float_list", value
    raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")


def _lossy(value: float) -> RpcError:
    return invalid_argument(f"Cannot convert JSON value: {shown(value)} to float without loss of precision.")
