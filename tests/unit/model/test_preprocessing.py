"""Preprocessing against Keras' own functions."""

import keras
import numpy as np
import pytest

from skinzoo.model.preprocessing import Preprocess
from skinzoo.testing import fresh_session

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("mode", "reference"),
    [
        ("symmetric", keras.applications.mobilenet_v2.preprocess_input),
        ("symmetric", keras.applications.nasnet.preprocess_input),
        ("symmetric", keras.applications.inception_resnet_v2.preprocess_input),
        ("caffe", keras.applications.resnet.preprocess_input),
        ("torch", keras.applications.densenet.preprocess_input),
        ("identity", keras.applications.efficientnet.preprocess_input),
    ],
)
def test_agrees_with_keras(mode, reference):
    np.testing.assert_allclose(
        np.asarray(Preprocess(mode)(IMAGES)), reference(IMAGES.astype("float32")), atol=1e-4
    )


@pytest.mark.parametrize("mode", ["symmetric", "caffe"])
def test_bgr_reverses_the_channels_first(mode):
    np.testing.assert_array_equal(
        np.asarray(Preprocess(mode, bgr=True)(IMAGES)), np.asarray(Preprocess(mode)(IMAGES[..., ::-1].copy()))
    )


def test_scales_in_float32_before_casting_to_half():
    with fresh_session("mixed_bfloat16"):
        half = Preprocess("symmetric")(IMAGES)
    assert keras.backend.standardize_dtype(half.dtype) == "bfloat16"


def test_unknown_mode_is_an_error():
    with pytest.raises(ValueError, match="`mode` must be one of"):
        Preprocess("imagenet")


def test_configuration_round_trip():
    layer = Preprocess("caffe", bgr=True, name="p")
    assert Preprocess.from_config(layer.get_config()).get_config() == layer.get_config()
