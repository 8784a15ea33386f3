import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from skinzoo.serving.tensors import to_array, to_proto

VALUES = [
    np.array([[1.5, -2.0]], np.float32),
    np.array([1.5, np.nan], np.float64),
    np.array([1.5], np.float16),
    np.array([2.5], tf.bfloat16.as_numpy_dtype),
    np.array([[1], [2]], np.uint8),
    np.array([-1, 2], np.int64),
    np.array([7, 2**31], np.uint32),
    np.array([2**63], np.uint64),
    np.array([True, False]),
    np.array([1 + 2j], np.complex64),
    np.array(3, np.int32),
    np.empty((0, 3), np.float32),
    np.array([[b"a\x00", b""]], object),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value.dtype}-{value.shape}")
@pytest.mark.parametrize("as_content", [False, True])
def test_there_and_back(value, as_content):
    proto = to_proto(value, as_content=as_content)
    is_content = as_content and value.dtype != object and value.size > 0
    assert bool(proto.tensor_content) == is_content
    for read in (to_array, tf.make_ndarray):
        back = read(proto)
        assert (back.dtype, back.shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(back, value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value.dtype}-{value.shape}")
def test_what_tensorflow_writes(value):
    np.testing.assert_array_equal(to_array(tf.make_tensor_proto(value)), value)


def test_a_single_string_keeps_its_zeros():
    assert to_array(to_proto(b"a\x00")).item() == b"a\x00"


def proto(dtype=tf.float32, shape=(1,), **values):
    found = TensorProto(dtype=dtype.as_datatype_enum if dtype else 0, **values)
    for size in shape:
        found.tensor_shape.dim.add().size = size
    return found


@pytest.mark.parametrize(
    "bad",
    [
        proto(dtype=None),
        proto(dtype=tf.resource),
        proto(shape=(-1,), float_val=[1.0]),
        proto(shape=(3,), tensor_content=b"12345"),
        proto(shape=(2,), float_val=[1.0, 2.0, 3.0]),
        proto(shape=(2**20, 2**20), float_val=[1.0]),
        proto(dtype=tf.string, shape=(2,)),
        proto(dtype=tf.string, shape=(1,), string_val=[b"a", b"b"]),
        proto(dtype=tf.string, shape=(1,), tensor_content=b"\x01a"),
    ],
)
def test_what_is_malformed(bad):
    with pytest.raises((ValueError, TypeError)):
        to_array(bad)
