"""The attention layers against their definitions."""

import keras
import numpy as np
import pytest
from skinzoo_zoo.attentions.cbam import CBAM
from skinzoo_zoo.attentions.none import NoAttention
from skinzoo_zoo.attentions.soft import SoftAttention
from skinzoo_zoo.attentions.soft_as_coded import SoftAttentionAsCoded, live_rows
from skinzoo_zoo.attentions.squeeze_excite import SqueezeExcite

from skinzoo.testing import fresh_session


def features_of(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def conv3d_from_the_definition(x, kernel):
    """Sum of a 3-D convolution of (B, H, W, C, 1) by (C, 3, 3, 1, M), stride (1, 1, C), SAME, in float64.

    SAME pads (kernel - 1) in all for stride 1, half of it before, and max(kernel - C, 0) along the channels
    for stride C, so the single output position along the channels begins at channel 0.
    """
    batch, height, width, _ = x.shape
    length = kernel.shape[0]
    before = (length - 1) // 2
    out = np.zeros((batch, height, width, kernel.shape[-1]))
    for h in range(height):
        for w in range(width):
            for d in range(length):
                row = h + d - before
                if not 0 <= row < height:
                    continue
                for i in range(3):
                    column = w + i - 1
                    if not 0 <= column < width:
                        continue
                    for c in range(3):
                        out[:, h, w] += x[:, row, column, c, None] * kernel[d, i, c, 0]
    return out


@pytest.mark.parametrize("channels", [3, 4, 5, 64, 127, 128, 176, 192, 960])
@pytest.mark.parametrize(("height", "width"), [(7, 7), (4, 5), (1, 1), (11, 3)])
def test_soft_as_coded_agrees_with_the_definition(channels, height, width):
    x = features_of((2, height, width, channels))
    layer = SoftAttentionAsCoded(heads=4)
    attended, amap = layer(x)
    layer.bias.assign([0.1, -0.2, 0.3, 0.0])
    attended, amap = layer(x)
    scores = conv3d_from_the_definition(x.astype("float64"), np.asarray(layer.kernel)) + np.asarray(
        layer.bias
    )
    heads = softmax(np.maximum(scores, 0).reshape(2, height * width, 4), axis=1)
    expected = heads.sum(-1).reshape(2, height, width)
    np.testing.assert_allclose(np.asarray(amap), expected, atol=1e-4)
    np.testing.assert_allclose(np.asarray(attended), x * expected[..., None], atol=1e-4)


def test_soft_as_coded_agrees_with_the_literal_conv3d_where_tensorflow_is_right():
    tf = pytest.importorskip("tensorflow")
    x = features_of((2, 7, 7, 192))
    layer = SoftAttentionAsCoded()
    _, amap = layer(x)
    literal = tf.nn.conv3d(x[..., None], layer.kernel.value, [1, 1, 1, 192, 1], "SAME")
    scores = np.maximum(np.asarray(literal)[:, :, :, 0] + np.asarray(layer.bias), 0)
    expected = softmax(scores.reshape(2, 49, 16), axis=1).sum(-1).reshape(2, 7, 7)
    np.testing.assert_allclose(np.asarray(amap), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("height", "channels", "rows"), [(7, 960, 13), (8, 192, 15), (28, 128, 55), (9, 4, 4)]
)
def test_only_rows_that_meet_data_are_read(height, channels, rows):
    first, end, above, below = live_rows(height, channels)
    assert end - first == rows
    assert above + height + below - rows + 1 == height


def test_dead_weights_of_soft_as_coded_change_nothing():
    x = features_of((1, 7, 7, 64))
    layer = SoftAttentionAsCoded()
    _, before = layer(x)
    first, end, _, _ = live_rows(7, 64)
    kernel = np.asarray(layer.kernel).copy()
    kernel[:first] = 99
    kernel[end:] = 99
    layer.kernel.assign(kernel)
    _, after = layer(x)
    np.testing.assert_array_equal(np.asarray(before), np.asarray(after))
    kernel[first] += 1
    layer.kernel.assign(kernel)
    assert not np.allclose(np.asarray(layer(x)[1]), np.asarray(after))


def test_soft_as_coded_ignores_channels_from_the_fourth_on_and_soft_does_not():
    x = features_of((1, 6, 6, 16))
    changed = x.copy()
    changed[..., 3:] = features_of((1, 6, 6, 13), seed=1)
    coded, described = SoftAttentionAsCoded(), SoftAttention()
    np.testing.assert_array_equal(np.asarray(coded(x)[1]), np.asarray(coded(changed)[1]))
    assert np.abs(np.asarray(described(x)[1]) - np.asarray(described(changed)[1])).max() > 1e-3


def test_soft_agrees_with_the_formula():
    x = features_of((2, 5, 4, 6))
    layer = SoftAttention(heads=3)
    attended, amap = layer(x)
    kernel = np.asarray(layer.kernel)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    scores = np.zeros((2, 5, 4, 3))
    for h in range(5):
        for w in range(4):
            scores[:, h, w] = np.einsum("bijc,ijck->bk", padded[:, h : h + 3, w : w + 3], kernel)
    expected = softmax(scores.reshape(2, 20, 3), axis=1).sum(-1).reshape(2, 5, 4)
    np.testing.assert_allclose(np.asarray(amap), expected, atol=1e-5)
    np.testing.assert_allclose(np.asarray(attended), 0.01 * x * expected[..., None], atol=1e-5)
    assert float(np.asarray(layer.gamma)) == pytest.approx(0.01)


@pytest.mark.parametrize("layer_type", [SoftAttention, SoftAttentionAsCoded])
def test_each_head_sums_to_one(layer_type):
    layer = layer_type()
    x = features_of((2, 7, 7, 8))
    layer(x)
    heads = np.asarray(layer.head_maps(x))
    assert heads.shape == (2, 7, 7, 16)
    np.testing.assert_allclose(heads.sum(axis=(1, 2)), 1, atol=1e-5)


def test_none_passes_on_with_a_uniform_map():
    x = features_of((2, 4, 5, 3))
    attended, amap = NoAttention()(x)
    np.testing.assert_array_equal(np.asarray(attended), x)
    np.testing.assert_allclose(np.asarray(amap), 1 / 20)


def test_squeeze_excite_scales_whole_channels_and_normalises_its_map():
    x = np.abs(features_of((2, 4, 5, 8)))
    attended, amap = SqueezeExcite()(x)
    gates = np.asarray(attended) / x
    np.testing.assert_allclose(gates, np.broadcast_to(gates[:, :1, :1], gates.shape), rtol=1e-5)
    assert ((gates > 0) & (gates < 1)).all()
    np.testing.assert_allclose(np.asarray(amap).sum(axis=(1, 2)), 1, rtol=1e-5)


def test_cbam_map_is_its_spatial_gate():
    x = features_of((2, 6, 6, 8))
    attended, amap = CBAM()(x)
    assert ((np.asarray(amap) > 0) & (np.asarray(amap) < 1)).all()
    ratio = np.asarray(attended) / (x * np.asarray(amap)[..., None])
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1, :1], ratio.shape), rtol=1e-3)


@pytest.mark.parametrize("wrong", [lambda: SoftAttention(heads=0), lambda: SoftAttentionAsCoded(heads=0)])
def test_heads_must_be_positive(wrong):
    with pytest.raises(ValueError, match=r"`heads` must be at least 1\. Received: heads=0"):
        wrong()


def test_soft_as_coded_needs_three_channels():
    with pytest.raises(ValueError, match="at least 3 channels"):
        SoftAttentionAsCoded()(features_of((1, 4, 4, 2)))


def test_softmax_stays_in_float32_under_half_precision():
    with fresh_session("mixed_float16"):
        attended, amap = SoftAttention()(features_of((1, 7, 7, 8)) * 50)
        assert keras.backend.standardize_dtype(amap.dtype) == "float32"
        assert keras.backend.standardize_dtype(attended.dtype) == "float16"
        np.testing.assert_allclose(np.asarray(amap).sum(), 16, rtol=1e-4)


@pytest.mark.parametrize("layer_type", [SoftAttention, SoftAttentionAsCoded])
def test_one_place_gets_all_attention_and_a_gradient_of_zero(layer_type):
    from skinzoo.testing import gradients

    image = keras.Input((1, 1, 8))
    layer = layer_type()
    model = keras.Model(image, keras.layers.Flatten()(layer(image)[0]))
    features = features_of((2, 1, 1, 8))
    np.testing.assert_array_equal(np.asarray(layer(features)[1]), 16)
    found = dict(zip([w.name for w in model.trainable_weights], gradients(model, features), strict=True))
    assert found["kernel"] is not None
    assert not found["kernel"].any()
