"""Between `TensorProto` and NumPy arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

# What a message may hold; a proto that repeats one value can claim far more in a few bytes.
LARGEST = 2**31 - 1
REPEATED = 64 << 20
"""Bytes that a message of any size may grow to by repeating its last value."""
_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int64: "int64_val",
    tf.int32: "int_val",
    tf.int16: "int_val",
    tf.int8: "int_val",
    tf.uint16: "int_val",
    tf.uint8: "int_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
}


def to_array(proto: TensorProto) -> np.ndarray:
    """Return a tensor's values; strings as an array of `bytes` objects.

    Args:
        proto: The tensor. The array may share its memory.

    Raises:
        ValueError: It is malformed, or too large.
    """
    if proto.tensor_shape.unknown_rank:
        raise ValueError("the shape has no rank")
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if any(size < 0 for size in shape):
        raise ValueError(f"negative size in shape {list(shape)}")
    try:
        dtype = tf.dtypes.as_dtype(proto.dtype)
        numpy_type = np.dtype(dtype.as_numpy_dtype)
    except (TypeError, KeyError) as error:
        raise ValueError(f"type {proto.dtype} is not supported") from error
    count = math.prod(shape)
    if count * numpy_type.itemsize > LARGEST:
        raise ValueError(f"shape {list(shape)} is too large")
    if dtype == tf.string:
        # A fast path: NumPy must not try to make anything of the bytes.
        if len(proto.string_val) == count and not proto.tensor_content:
            values = np.empty(count, object)
            values[:] = list(proto.string_val)
            return values.reshape(shape)
        if proto.tensor_content or len(proto.string_val) > count or not proto.string_val:
            raise ValueError(f"{len(proto.string_val)} values for shape {list(shape)}")
    elif proto.tensor_content:
        if len(proto.tensor_content) != count * numpy_type.itemsize:
            raise ValueError(f"{len(proto.tensor_content)} bytes for shape {list(shape)}")
        return np.frombuffer(proto.tensor_content, numpy_type).reshape(shape)
    if _grown(proto, count, numpy_type) > max(REPEATED, 16 * proto.ByteSize()):
        raise ValueError(f"shape {list(shape)} is too large for the values given")
    return tf.make_ndarray(proto)


def _grown(proto: TensorProto, count: int, numpy_type: np.dtype) -> int:
    """Return the bytes of a tensor whose last value is repeated as often as its shape says."""
    texts = proto.string_val
    repeated = (count - len(texts)) * len(texts[-1]) if texts else 0
    return count * numpy_type.itemsize + sum(map(len, texts)) + repeated


def to_proto(value: Any, *, as_content: bool = False) -> TensorProto:
    """Return a tensor as a message with typed fields.

    Args:
        value: An array or a tensor.
        as_content: Put numbers into `tensor_content` instead.
    """
    array = np.array(value, object) if isinstance(value, (bytes, str)) else np.asarray(value)
    dtype = tf.dtypes.as_dtype(array.dtype) if array.dtype.kind not in "OSU" else tf.string
    proto = TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if dtype == tf.string:
        proto.string_val.extend(
            one if isinstance(one, bytes) else str(one).encode() for one in array.ravel().tolist()
        )
    elif as_content:
        proto.tensor_content = array.tobytes()
    elif dtype in _FIELDS:
        getattr(proto, _FIELDS[dtype]).extend(array.ravel().tolist())
    elif dtype in (tf.float16, tf.bfloat16):
        proto.half_val.extend(array.ravel().view(np.uint16).tolist())
    elif dtype in (tf.complex64, tf.complex128):
        parts = array.ravel().view(array.real.dtype).tolist()
        (proto.scomplex_val if dtype == tf.complex64 else proto.dcomplex_val).extend(parts)
    else:
        proto.tensor_content = array.tobytes()
    return proto
