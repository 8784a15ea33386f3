"""Occlusion, Kernel SHAP and the pieces they cover."""

import sys

import numpy as np
import pytest

from skinzoo.errors import MissingExtraError, UsageError
from skinzoo.explain.covering import covered, kernel_shap, occlusion
from skinzoo.explain.superpixels import superpixels

PICTURE = np.full((12, 12, 3), 40, np.uint8)
PICTURE[:4, :4] = 240


def corner(pictures):
    """Class 1 is the brightness of the corner of 4 x 4 pixels, and nothing else."""
    bright = pictures[:, :4, :4].mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - bright, bright], axis=1)


def weighed(pictures):
    """Class 0 adds up the nine squares' brightness, each with a weight of its own."""
    means = pictures.reshape(-1, 3, 4, 3, 4, 3).mean(axis=(2, 4, 5)).reshape(-1, 9) / 255
    return (means @ np.linspace(-0.05, 0.05, 9))[:, None]


def test_occlusion_finds_the_only_corner_that_matters():
    pieces = superpixels(PICTURE, segments=9)
    found = occlusion(corner, PICTURE, pieces, 1)
    mean = round(float(PICTURE.mean()))
    np.testing.assert_allclose(found[:4, :4], (240 - mean) / 255, rtol=1e-5)
    found[:4, :4] = 0
    assert not found.any()
    np.testing.assert_allclose(occlusion(corner, PICTURE, pieces, 0)[0, 0], (mean - 240) / 255, rtol=1e-5)


def test_covering_touches_the_covered_pieces_only():
    pieces = superpixels(PICTURE, segments=9)
    shown = np.ones((2, 9), bool)
    shown[1, [0, 4]] = False
    copies = covered(PICTURE, pieces, shown)
    np.testing.assert_array_equal(copies[0], PICTURE)
    changed = (copies[1] != PICTURE).any(axis=-1)
    np.testing.assert_array_equal(changed, np.isin(pieces, [0, 4]))
    assert len(np.unique(copies[1][changed])) == 1


def test_shapley_values_of_a_sum_are_its_terms():
    pytest.importorskip("shap", reason="shap is not installed")
    picture = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
    pieces = superpixels(picture, segments=9)
    found = kernel_shap(weighed, picture, pieces, 0, samples=200)
    # In a sum every piece is worth what covering it alone takes away.
    np.testing.assert_allclose(found, occlusion(weighed, picture, pieces, 0), atol=1e-6)


def test_shapley_values_add_up_and_are_repeatable():
    pytest.importorskip("shap", reason="shap is not installed")
    picture = np.random.default_rng(1).integers(0, 256, (12, 12, 3), np.uint8)
    pieces = superpixels(picture, segments=36)

    def both(pictures):
        return np.tanh(3 * weighed(pictures)) * corner(pictures)[:, :1]

    state = np.random.get_state()[1].copy()
    found = kernel_shap(both, picture, pieces, 0, samples=150, seed=4)
    np.testing.assert_array_equal(found, kernel_shap(both, picture, pieces, 0, samples=150, seed=4))
    assert not np.array_equal(found, kernel_shap(both, picture, pieces, 0, samples=150, seed=5))
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    nothing = covered(picture, pieces, np.zeros((1, 36), bool))
    whole = both(picture[None])[0, 0] - both(nothing)[0, 0]
    values = [found[pieces == i][0] for i in range(36)]
    assert np.sum(values) == pytest.approx(whole, abs=1e-5)


def test_too_few_samples_are_refused():
    pytest.importorskip("shap", reason="shap is not installed")
    with pytest.raises(UsageError, match=r"at least two .* 18\. Received: 17"):
        kernel_shap(corner, PICTURE, superpixels(PICTURE, segments=9), 1, samples=17)


@pytest.mark.parametrize(("module", "purpose"), [("shap", "Kernel SHAP"), ("skimage.segmentation", "slic")])
def test_without_the_extra_the_error_names_it(monkeypatch, module, purpose):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=purpose) as caught:
        if module == "shap":
            kernel_shap(corner, PICTURE, superpixels(PICTURE), 1)
        else:
            superpixels(PICTURE, kind="slic")
    assert "skinzoo[shap]" in caught.value.hint


@pytest.mark.parametrize(
    ("size", "segments", "count"), [(12, 9, 9), (224, 49, 49), (10, 16, 16), (3, 100, 9)]
)
def test_a_grid_has_no_gaps_and_about_equal_squares(size, segments, count):
    pieces = superpixels(np.zeros((size, size, 3), np.uint8), segments=segments)
    sizes = np.bincount(pieces.ravel())
    assert len(sizes) == count and sizes.min() > 0
    assert np.sqrt(sizes.max()) - np.sqrt(sizes.min()) < 1.01


def test_slic_follows_an_edge():
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    picture = np.full((64, 64, 3), (230, 180, 160), np.uint8)
    picture[:, 37:] = (60, 30, 20)
    pieces = superpixels(picture, kind="slic", segments=16)
    assert 4 <= pieces.max() + 1 <= 40
    assert not set(pieces[:, :37].ravel()) & set(pieces[:, 37:].ravel())


@pytest.mark.parametrize(("kind", "segments", "named"), [("slick", 49, "slic"), ("grid", 3, "4..1000")])
def test_a_wrong_choice_of_pieces(kind, segments, named):
    with pytest.raises(UsageError, match=named):
        superpixels(PICTURE, kind=kind, segments=segments)
