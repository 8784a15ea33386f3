"""Maps from inside a model, against numbers computed by hand."""

import keras
import numpy as np
import pytest
from keras import ops
from small_models import WEIGHTS, Passing, images, inputs_of, pixels_in_pixels_out

from skinzoo import create_model
from skinzoo.errors import ModelError
from skinzoo.explain.maps import MapMaker, grad_cam, grad_cam_plus
from skinzoo.testing import fresh_session


def test_grad_cam_of_a_network_computed_by_hand():
    # dS_c/dA_ijk = WEIGHTS[k, c] / 16 at each of the 16 places, so that is each channel's weight too.
    pictures = images()
    maps = MapMaker(pixels_in_pixels_out())({"image": pictures}, targets=np.array([0, 1]))
    for i, target in enumerate((0, 1)):
        expected = np.maximum((pictures[i] / 100) @ WEIGHTS[:, target] / 16, 0)
        assert expected.max() > 0 or target == 0
        np.testing.assert_allclose(maps.gradcam[i], expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(maps.attention, pictures[..., 0] / 100, rtol=1e-6)
    logits = (pictures / 100).mean(axis=(1, 2)) @ WEIGHTS
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(maps.probabilities, expected, rtol=1e-5)


def test_grad_cam_plus_against_its_formula():
    rng = np.random.default_rng(3)
    a, g = rng.random((2, 3, 4, 5)), rng.normal(size=(2, 3, 4, 5))
    g[0, 1, 2] = 0.0
    expected = np.zeros((2, 3, 4))
    for n in range(2):
        for k in range(5):
            weight = 0.0
            for i in range(3):
                for j in range(4):
                    slope = g[n, i, j, k]
                    below = 2 * slope**2 + a[n, :, :, k].sum() * slope**3
                    weight += (slope**2 / below if below else 0.0) * max(slope, 0.0)
            expected[n] += weight * a[n, :, :, k]
    np.testing.assert_allclose(grad_cam_plus(a, g), np.maximum(expected, 0), rtol=1e-5)


def test_a_gradient_of_zero_gives_maps_of_zero():
    a = np.ones((1, 2, 2, 3))
    assert not grad_cam(a, 0 * a).any() and not grad_cam_plus(a, 0 * a).any()


def test_what_speaks_against_the_class_does_not_show():
    a = np.zeros((1, 2, 2, 2))
    a[0, 0, 0, 0] = a[0, 1, 1, 1] = 1.0
    g = np.ones_like(a) * np.array([1.0, -1.0])
    for made in (grad_cam(a, g), grad_cam_plus(a, g)):
        assert made[0, 0, 0] > 0 and made[0, 1, 1] == 0


def test_the_predicted_class_is_explained_unless_another_is_named():
    model = pixels_in_pixels_out()
    maker, pictures = MapMaker(model), {"image": images()}
    found = maker(pictures)
    np.testing.assert_array_equal(found.targets, model.predict_on_batch(pictures).argmax(axis=1))
    other = maker(pictures, 1 - int(found.targets[0]))
    assert not np.allclose(other.gradcam[0], found.gradcam[0])


def test_frozen_layers_have_gradients_too():
    model = pixels_in_pixels_out()
    before = MapMaker(model)({"image": images()}).gradcam
    model.trainable = False
    np.testing.assert_array_equal(MapMaker(model)({"image": images()}).gradcam, before)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_heads_add_up_to_the_attention(policy):
    with fresh_session(policy):
        model = create_model("cnn", image_size=48, attention="soft")
        maker, inputs = MapMaker(model), inputs_of(model)
        maps = maker(inputs)
        assert maps.heads.dtype == maps.attention.dtype == maps.gradcam.dtype == np.float32
        assert maps.heads.shape == (*maps.attention.shape, 16)
        tolerance = 1e-6 if policy == "float32" else 0.02
        np.testing.assert_allclose(maps.heads.sum(axis=-1), maps.attention, atol=tolerance)
        assert np.isfinite(maps.gradcam_plus).all()
        # With random weights everything may speak against the likeliest class, but not against all of them.
        assert max(maker(inputs, target).gradcam.max() for target in range(7)) > 0


def test_an_attention_that_returns_features_and_map_only_has_no_heads():
    maps = MapMaker(pixels_in_pixels_out())({"image": images()})
    assert maps.heads is None and maps.attention.shape == (2, 4, 4)


def test_a_fusion_without_metadata_and_a_saved_model_give_maps(tmp_path):
    model = create_model("cnn", image_size=32, fusion="image_only")
    inputs = inputs_of(model)
    before = MapMaker(model)(inputs)
    model.save(tmp_path / "m.keras")
    after = MapMaker(keras.saving.load_model(tmp_path / "m.keras"))(inputs)
    for name, made in before.named().items():
        np.testing.assert_allclose(after.named()[name], made, rtol=1e-4, atol=1e-7, err_msg=name)


def test_heads_of_a_wrong_shape_are_named():
    class Wrong(Passing):
        def head_maps(self, features):
            return ops.sum(features, axis=-1)

    with pytest.raises(ModelError, match=r"batch, h, w, heads.*Wrong"):
        MapMaker(pixels_in_pixels_out(attention=Wrong))({"image": images()})


def test_weights_that_are_not_finite_are_named():
    model = pixels_in_pixels_out()
    model.get_layer("logits").set_weights([WEIGHTS * np.nan])
    with pytest.raises(ModelError, match=r"finite numbers.*its probabilities, gradcam"):
        MapMaker(model)({"image": images()}, 0)


def test_a_model_of_someone_else_is_refused():
    image = keras.Input((4, 4, 3), name="image")
    with pytest.raises(ModelError, match="'attention'"):
        MapMaker(keras.Model({"image": image}, keras.layers.Flatten()(image)))
