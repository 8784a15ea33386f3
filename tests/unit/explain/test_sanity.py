"""Sanity checks: maps of models whose weights become random."""

import random

import keras
import numpy as np
import pytest
from small_models import images, inputs_of, pixels_in_pixels_out

from skinzoo import create_model
from skinzoo.explain.maps import MapMaker
from skinzoo.explain.overlay import enlarged, scaled
from skinzoo.explain.sanity import check_sanity, randomised_layers
from skinzoo.explain.similarity import SSIM_SIZE, spearman, ssim


@pytest.fixture(scope="module")
def model():
    # Of some seeds nothing speaks for the predicted class, and Grad-CAM has no ranks.
    keras.utils.set_random_seed(2)
    return create_model("cnn", image_size=48, attention="soft")


@pytest.fixture(scope="module")
def checked(model):
    return check_sanity(MapMaker(model), inputs_of(model))


def test_the_cascade_goes_from_the_output_to_the_input(model, checked):
    names = [step.name for step in checked.cascade]
    assert names[:2] == ["trained", "logits"] and names.index("attention") < names.index("backbone 1/4")
    assert names[-1] == "backbone 4/4" and names[checked.behind] == names[-5]
    covered = [
        weight.path for _, layers in randomised_layers(model) for one in layers for weight in one.weights
    ]
    assert sorted(covered) == sorted(weight.path for weight in model.weights)


def test_the_model_itself_agrees_with_itself(checked):
    first = checked.cascade[0]
    assert (
        first.spearman == pytest.approx(dict.fromkeys(first.spearman, 1.0))
        and min(first.ssim.values()) > 0.999
    )
    assert max(checked.repeated.values()) < 1e-4


def test_random_weights_change_the_maps_and_the_output(checked):
    last = checked.cascade[-1]
    assert all(value < 0.9 for value in last.ssim.values())
    assert last.probability != checked.cascade[0].probability
    # What is behind the attention cannot change its map.
    assert checked.cascade[1].spearman["attention"] == pytest.approx(1.0)


def test_weights_are_as_before_and_so_is_the_random_state(model):
    before, state = [w.copy() for w in model.get_weights()], random.getstate()
    again = check_sanity(MapMaker(model), inputs_of(model))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert random.getstate() == state
    assert again.to_dict() == check_sanity(MapMaker(model), inputs_of(model)).to_dict()


def test_weights_are_restored_when_it_is_stopped(model):
    before = [w.copy() for w in model.get_weights()]

    def stop(done, total):
        if done == total - 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_sanity(MapMaker(model), inputs_of(model), progress=stop)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_map_that_hangs_on_no_weight_is_found_out():
    found = check_sanity(MapMaker(pixels_in_pixels_out(8)), {"image": images(4, 8)})
    assert "attention" in found.independent and "attention" in found.blind
    assert found.cascade[-1].spearman["attention"] == pytest.approx(1.0)


def test_another_training_gives_other_maps(model):
    inputs = inputs_of(model)
    maker = MapMaker(model)
    own = maker(inputs)
    itself = check_sanity(maker, inputs, against=("itself", own)).against
    assert itself.name == "itself"
    assert itself.spearman == pytest.approx(dict.fromkeys(itself.spearman, 1.0))
    keras.utils.set_random_seed(3)
    second = MapMaker(create_model("cnn", image_size=48, attention="soft"))
    other = second(inputs, own.targets)
    found = check_sanity(maker, inputs, against=("other", other)).against
    expected = [spearman(a, b) for a, b in zip(own.attention, other.attention, strict=True)]
    assert found.spearman["attention"] == pytest.approx(np.mean(expected))
    assert all(value < 0.95 for value in found.spearman.values())
    assert found.probability == pytest.approx(other.probabilities[range(3), own.targets].mean())


def test_mirroring_is_undone():
    found = check_sanity(MapMaker(pixels_in_pixels_out(8)), {"image": images(4, 8)})
    assert found.mirrored.spearman["attention"] == pytest.approx(1.0)
    assert 0.9 < found.noisy.spearman["attention"] < 1.0


def test_structural_similarity_is_that_of_scikit_image():
    metrics = pytest.importorskip("skimage.metrics", reason="scikit-image is not installed")
    rng = np.random.default_rng(0)
    first, second = rng.random((7, 7)), rng.random((9, 9))
    large = [scaled(enlarged(one, SSIM_SIZE)).astype(float) for one in (first, second)]
    expected = metrics.structural_similarity(
        *large, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(first, second) == pytest.approx(expected, abs=1e-6)
    assert ssim(first, 3 * first + 2) == pytest.approx(1.0, abs=1e-5)


def test_ranks_of_maps_without_any():
    ramp, flat = np.arange(9.0).reshape(3, 3), np.ones((3, 3))
    assert spearman(ramp, ramp**3) == pytest.approx(1.0) and spearman(ramp, -ramp) == pytest.approx(-1.0)
    assert spearman(flat, ramp) is None and spearman(ramp, flat) == 0.0
