"""The fusions against their definitions."""

import keras
import numpy as np
import pytest
from skinzoo_zoo.fusions.mlp import PropertyMask

from skinzoo.model import create_model, metadata_encoder
from skinzoo.registry import registry
from skinzoo.specs import FusionRequest, FusionSpec
from skinzoo.testing import example_cases


def fused_width(name, image=10, metadata=21):
    inputs = keras.Input((image,)), keras.Input((metadata,))
    layout = metadata_encoder(create_model("cnn")).layout
    spec = registry().get(FusionSpec, name)
    return spec.build(FusionRequest(image=inputs[0], metadata=inputs[1], layout=layout)).shape[-1]


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("concat4096", 4106),
        ("concat4096_bn", 4106),
        ("concat4096_2bn", 4106),
        ("concat4096_dropout", 4106),
        ("concat4096_dropout0.4", 4106),
        ("mlp", 266),
        ("gated", 74),
        ("film", 10),
        ("image_only", 10),
    ],
)
def test_width_of_the_fused_vector(name, width):
    assert fused_width(name) == width


def test_concat4096_puts_the_image_first():
    model = create_model("cnn", fusion="concat4096")
    cases = example_cases(model)
    vector = keras.Model(model.input, model.get_layer("image_vector").output)(cases)
    fused = keras.Model(model.input, model.get_layer("fused").output)(cases)
    np.testing.assert_allclose(np.asarray(fused)[:, : vector.shape[1]], np.asarray(vector), rtol=1e-5)


@pytest.mark.parametrize("name", ["film"])
def test_film_begins_as_the_image_vector(name):
    model = create_model("cnn", fusion=name)
    cases = example_cases(model)
    vector = keras.Model(model.input, model.get_layer("image_vector").output)(cases)
    fused = keras.Model(model.input, model.get_layer("fused").output)(cases)
    np.testing.assert_allclose(np.asarray(fused), np.asarray(vector), rtol=1e-6)


@pytest.mark.parametrize("name", [n for n in registry().names("fusion") if n not in ("image_only", "film")])
def test_metadata_change_the_probabilities(name):
    model = create_model("cnn", fusion=name)
    cases = example_cases(model)
    changed = cases | {"sex": cases["sex"][::-1].copy(), "age": cases["age"][::-1].copy()}
    assert np.abs(np.asarray(model(cases)) - np.asarray(model(changed))).max() > 1e-6


def test_image_only_ignores_metadata():
    model = create_model("cnn", fusion="image_only")
    cases = example_cases(model)
    unknown = example_cases(model, unknown=True)
    np.testing.assert_array_equal(np.asarray(model(cases)), np.asarray(model(unknown)))
    assert metadata_encoder(model) is None


def test_property_mask_replaces_whole_properties_by_unknown_at_its_rate():
    layout = metadata_encoder(create_model("cnn")).layout
    layer = PropertyMask(layout.groups, layout.missing, rate=0.1, seed=0)
    rows = np.full((20_000, 21), 7.0, "float32")
    masked = np.asarray(layer(rows, training=True))
    for start, end in layout.groups:
        hit = (masked[:, start:end] != 7).all(axis=1)
        assert ((masked[:, start:end] == 7).all(axis=1) | hit).all()
        assert hit.mean() == pytest.approx(0.1, abs=0.01)
        np.testing.assert_array_equal(masked[hit][0, start:end], layout.missing[start:end])
    np.testing.assert_array_equal(np.asarray(layer(rows, training=False)), rows)


def test_property_mask_refuses_a_rate_of_one():
    with pytest.raises(ValueError, match="`rate` must be"):
        PropertyMask([(0, 1)], [0.0], rate=1.0)
