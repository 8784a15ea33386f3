"""FLOPs, depth and sizes by hand; timings that count what they say."""

import os

import keras
import numpy as np
import pytest

from skinzoo.model import create_model
from skinzoo.model.description import count_operations
from skinzoo.profile.measure import (
    depth,
    describe_operations,
    forward_pass,
    size_of_weights,
    synthetic_inputs,
    timing,
    training_step,
)
from skinzoo.profile.request import ProfileSettings
from skinzoo.registry import registry
from skinzoo.specs import BackboneRequest, BackboneSpec
from skinzoo.testing import fresh_session

FEW = ProfileSettings(repeats=5, warm_up=1)


@pytest.fixture(autouse=True)
def own_session():
    with fresh_session():
        yield


def counted(layer, shape):
    image = keras.Input(shape, name="image")
    return {name: n for name, n in count_operations(keras.Model({"image": image}, layer(image))).items() if n}


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        # Each output of a 3x3 convolution of 5 channels: 45 multiplications, 45 additions; then its bias.
        (keras.layers.Conv2D(7, 3, padding="same"), (16, 16, 5),
         {"Conv2D": 2 * 16 * 16 * 7 * 9 * 5, "BiasAdd": 16 * 16 * 7}),
        (keras.layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False), (16, 16, 3),
         {"Conv2D": 2 * 8 * 8 * 4 * 9 * 3}),
        # A group convolution: each output sees its group's channels alone.
        (keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False), (10, 10, 6),
         {"DepthwiseConv2dNative": 2 * 10 * 10 * 6 * 9}),
        (keras.layers.Dense(11, use_bias=False), (13,), {"MatMul": 2 * 13 * 11}),
        (keras.layers.MaxPooling2D(2), (8, 8, 3), {"MaxPool": 4 * 4 * 3 * 4}),
        (keras.layers.ReLU(), (8, 8, 3), {}),
    ],
    ids=["convolution", "strides", "depthwise", "dense", "pooling", "relu"],
)  # fmt: skip
def test_operations_of_known_layers(layer, shape, expected):
    assert counted(layer, shape) == expected


def test_a_small_network_by_hand():
    """The 32-pixel CNN: 32, 32, 64, 128 filters of 3x3, pooled behind the second and the third."""
    found = describe_operations(count_operations(create_model("cnn", fusion="image_only")))
    trunk = 32 * 32 * 32 * 9 * 3 + 32 * 32 * 32 * 9 * 32 + 16 * 16 * 64 * 9 * 32 + 8 * 8 * 128 * 9 * 64
    attention = 8 * 8 * 16 * 9 * 128
    # Global average pooling of trunk and attended features, then 7 classes.
    classifier = 2 * 128 * 7
    assert found["multiply_adds"] == trunk + attention + classifier
    assert found["total"] == sum(found["by_operation"].values()) > 2 * found["multiply_adds"]
    assert "Relu" in found["uncounted"] and "Reshape" not in found["uncounted"]
    assert not {name for name in found["uncounted"] if "Call" in name}, "operations are hidden in functions"


@pytest.mark.parametrize("name", ["mobilenet", "mobilenetv2"])
def test_depth_is_that_of_keras_applications(name):
    spec = registry().get(BackboneSpec, name)
    # Keras states one layer more of the MobileNets than have weights.
    assert depth(spec.build(BackboneRequest(input_shape=(224, 224, 3)))) == spec.depth - 1


def test_size_of_weights():
    image = keras.Input((4,), name="image")
    x = keras.layers.Dense(3)(keras.layers.Dropout(0.5)(image))
    half = keras.layers.Dense(2, dtype="bfloat16", use_bias=False)
    model = keras.Model({"image": image}, keras.layers.BatchNormalization()(x))
    assert size_of_weights(model) == 4 * (4 * 3 + 3) + 4 * 4 * 3
    # Keras holds the weights of a bfloat16 layer in bfloat16, two bytes each.
    assert size_of_weights(keras.Model({"image": image}, half(x))) == 4 * (4 * 3 + 3) + 2 * 3 * 2


def test_a_timing_says_how_often_it_was_repeated():
    calls = []
    found = timing(lambda: calls.append(1), 4, ProfileSettings(repeats=7, warm_up=3))
    assert len(calls) == 10 and (found["repeats"], found["warm_up"], found["batch"]) == (7, 3, 4)
    assert 0 <= found["fastest"] <= found["median"] <= found["p90"] <= found["slowest"]
    assert found["images_per_second"] == pytest.approx(4 / found["median"])


def test_a_slow_call_is_repeated_three_times():
    import time

    calls = []

    def slow():
        calls.append(1)
        time.sleep(0.02)

    found = timing(slow, 1, ProfileSettings(repeats=50, warm_up=1, seconds=0.001))
    assert len(calls) == 4 and found["repeats"] == 3
    assert 0.02 <= found["median"] < 1


def test_what_is_timed_is_the_model():
    model = create_model("cnn")
    inputs = synthetic_inputs(32, 4)
    np.testing.assert_allclose(
        forward_pass(model)(inputs), model.predict_on_batch(inputs), rtol=1e-4, atol=1e-6
    )
    before = [weight.copy() for weight in model.get_weights()]
    step = training_step(model, inputs, 7)
    timing(step, 4, FEW)
    after = model.get_weights()
    moved = sum(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    assert moved > 0.8 * len(before)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the system does not say")  # noqa: PTH110
def test_peak_memory_grows_with_what_is_held():
    from skinzoo.profile.measure import peak_memory

    before = peak_memory()["host"]
    held = np.ones(300 * 2**20, np.uint8)
    assert peak_memory()["host"] >= max(before, held.nbytes)
