"""From the JSON of a predict request to arrays, with TensorFlow Serving's rules and errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from skinzoo.serving.rest.documents import is_base64, malformed, shown, to_bytes, type_name
from skinzoo.serving.status import RpcError, invalid_argument

_INSTANCES, _INPUTS = "instances", "inputs"
# Below NumPy's limit.
_MOST_DIMENSIONS = 32


class Format(Enum):
    """How a request, and with it the answer, is laid out."""

    ROWS = "predictions"
    COLUMNS = "outputs"


def read_inputs(document: Mapping[str, Any], signature: SignatureDef) -> tuple[dict[str, np.ndarray], Format]:
    """Return the inputs of a request and its format.

    Args:
        document: The body.
        signature: What it is for.

    Raises:
        RpcError: It does not fit.
    """
    types = {name: tf.dtypes.as_dtype(one.dtype) for name, one in sorted(signature.inputs.items())}
    if not types:
        raise invalid_argument("Failed to get input map for signature: it has no inputs")
    optional = set(signature.defaults)
    if _INSTANCES in document and _INPUTS in document:
        raise malformed(
            document,
            f"Not formatted correctly expecting only one of '{_INPUTS}' or '{_INSTANCES}' keys to exist ",
        )
    if _INSTANCES in document:
        rows = document[_INSTANCES]
        if not isinstance(rows, list):
            raise malformed(document, f"Excepting '{_INSTANCES}' to be an list/array")
        if not rows:
            raise malformed(document, f"No values in '{_INSTANCES}' array")
        return _of_rows(rows, types, optional), Format.ROWS
    if _INPUTS in document:
        return _of_columns(document[_INPUTS], types, optional), Format.COLUMNS
    raise invalid_argument(f"Missing '{_INPUTS}' or '{_INSTANCES}' key")


def _of_columns(given: Any, types: Mapping[str, tf.DType], optional: set[str]) -> dict[str, np.ndarray]:
    if not isinstance(given, dict) or is_base64(given):
        if len(types) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required "
                "as per tensorinfo_map"
            )
        given = dict.fromkeys(types, given)
    missing = [name for name in types if name not in given and name not in optional]
    if missing:
        raise invalid_argument(f"Missing named input: {missing[0]} in 'inputs' object.")
    found = {}
    for name, dtype in types.items():
        if name in given:
            column = _Column(dtype)
            column.add(given[name])
            found[name] = column.array(column.shape)
    return found


def _of_rows(rows: list[Any], types: Mapping[str, tf.DType], optional: set[str]) -> dict[str, np.ndarray]:
    named = _is_object(rows[0])
    if not named and len(types) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required "
            "as per tensorinfo_map"
        )
    # All rows have what the first one has.
    names = set(types) if not named else {name for name in types if name in rows[0] or name not in optional}
    columns = {name: _Column(types[name]) for name in names}
    for i, row in enumerate(rows):
        if _is_object(row) != named:
            raise invalid_argument(
                f"Expecting object but got list at item {i} of input list"
                if named
                else f"Expecting value/list but got object at item {i} of input list"
            )
        for name, value in row.items() if named else ((next(iter(types)), row),):
            try:
                if name not in columns:
                    raise invalid_argument(f"JSON object: does not have named input: {name}")
                columns[name].add(value)
            except RpcError as error:
                key = f" key: {name}" if named else ""
                raise RpcError(
                    error.code,
                    f"Failed to process element: {i}{key} of 'instances' list. "
                    f"Error: {error.code.name}: {error.message}",
                ) from error
        if named and row.keys() != names:
            raise invalid_argument(
                f"Failed to process element: {i} of 'instances' list. JSON object: {shown(row)} keys must be "
                f"equal to: {','.join(sorted(names))}"
            )
    return {name: column.array((len(rows), *column.shape)) for name, column in columns.items()}


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


class _Column:
    """Values of one input, added as tensors that must all have one shape.

    Args:
        dtype: Type of the input.
    """

    def __init__(self, dtype: tf.DType) -> None:
        self._dtype = dtype
        self._values: list[Any] = []
        self._first = True
        self.shape: tuple[int, ...] = ()

    def add(self, value: Any) -> None:
        """Add a value or nested lists of them."""
        shape = _shape(value)
        leaves: list[Any] = []
        _collect(value, shape, 0, leaves)
        checked = _checked(leaves, self._dtype)
        if self._first:
            self.shape, self._first = shape, False
        elif math.prod(shape) != math.prod(self.shape):
            raise invalid_argument(
                f"Expecting tensor size: {math.prod(self.shape)} but got: {math.prod(shape)}"
            )
        elif shape != self.shape:
            raise invalid_argument(f"Expecting shape {_listed(self.shape)} but got: {_listed(shape)}")
        self._values += checked

    def array(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return all values in a shape."""
        if self._dtype == tf.string:
            found = np.empty(len(self._values), object)
            found[:] = self._values
        else:
            found = np.array(self._values, self._dtype.as_numpy_dtype)
        return found.reshape(shape)


def _shape(value: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        if not value:
            break
        value = value[0]
    if len(shape) > _MOST_DIMENSIONS:
        raise invalid_argument(
            f"Encountered list at unexpected level: {_MOST_DIMENSIONS} expected < {_MOST_DIMENSIONS}"
        )
    return tuple(shape)


def _collect(value: Any, shape: tuple[int, ...], level: int, leaves: list[Any]) -> None:
    rank = len(shape)
    if not isinstance(value, list):
        if level != rank:
            raise malformed(
                value, f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {rank}"
            )
        leaves.append(value)
        return
    if level >= rank:
        raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {rank}")
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} "
            f"expected size: {shape[level]}"
        )
    if level == rank - 1 and list not in set(map(type, value)):
        leaves += value
        return
    for one in value:
        _collect(one, shape, level + 1, leaves)


def _checked(leaves: list[Any], dtype: tf.DType) -> list[Any]:
    if dtype == tf.string:
        for value in leaves:
            if not isinstance(value, (str, dict)):
                raise _type_error(value, dtype)
        return [to_bytes(value) for value in leaves]
    if dtype.is_floating:
        _check(leaves, dtype, (int, float))
        largest = min(float(dtype.max), float(tf.float64.max))
        # Whole numbers that the type holds exactly.
        whole = 2 ** (53 if dtype == tf.float64 else 24) - 1
        for value in leaves:
            lossy = (
                abs(value) > whole if type(value) is int else abs(value) > largest and math.isfinite(value)
            )
            if lossy:
                raise invalid_argument(
                    f"Cannot convert JSON value: {shown(value)} to {_name(dtype)} without loss of precision."
                )
        return leaves
    if dtype.is_integer:
        _check(leaves, dtype, (int,))
        for value in leaves:
            if not dtype.min <= value <= dtype.max:
                raise _type_error(value, dtype)
        return leaves
    if dtype == tf.bool:
        _check(leaves, dtype, (bool,))
        return leaves
    raise RpcError(
        grpc.StatusCode.UNIMPLEMENTED,
        f"Conversion of JSON Value: {shown(leaves[:1])} to type: {_name(dtype)}",
    )


def _check(leaves: list[Any], dtype: tf.DType, allowed: tuple[type, ...]) -> None:
    if set(map(type, leaves)) <= set(allowed):
        return
    raise _type_error(next(value for value in leaves if type(value) not in allowed), dtype)


def _type_error(value: Any, dtype: tf.DType) -> RpcError:
    return malformed(value, f"Type: {type_name(value)} is not of expected type: {_name(dtype)}")


def _name(dtype: tf.DType) -> str:
    # As C++ spells them.
    return {tf.float32: "float", tf.float64: "double"}.get(dtype, dtype.name)


def _listed(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"
