import numpy as np
import pytest

from skinzoo.errors import UsageError
from skinzoo.evaluation.augmented import kinds, views


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("kind", "number"),
    [("none", 1), ("flips", 4), ("rotations", 4), ("dihedral", 8), ("crops", 6), ("crops16", 16)],
)
def test_views_are_different_and_begin_with_the_image_itself(images, kind, number):
    shown = [view.show(images) for view in views(kind)]
    assert len(shown) == number
    assert (shown[0] == images).all() or kind == "crops16"
    assert {view.shape for view in shown} == {images.shape} and {view.dtype for view in shown} == {
        images.dtype
    }
    assert len({view.tobytes() for view in shown}) == number


def test_flips_mirror_the_axes(images):
    shown = {view.show(images).tobytes() for view in views("flips")}
    assert shown == {
        np.ascontiguousarray(images[:, ::down, ::right]).tobytes() for down in (1, -1) for right in (1, -1)
    }


def test_a_crop_is_its_corner_made_larger():
    images = np.zeros((1, 16, 16, 3), np.uint8)
    images[:, :8, :8] = 200
    crops = {view.name: view.show(images) for view in views("crops")}
    assert crops["upper left crop"].mean() > crops["middle crop"].mean() > crops["lower right crop"].mean()


def test_the_16_crops_are_a_grid_in_reading_order():
    images = np.zeros((1, 64, 64, 3), np.uint8)
    images[:, :4, :4] = 200
    crops = [view.show(images)[0] for view in views("crops16")]
    # 56 of 64 pixels are seen, so only the first row and column of crops hold the corner's first pixels.
    assert [bool(crop[0, 0].any()) for crop in crops[:5]] == [True, True, False, False, True]


def test_an_unknown_kind():
    assert kinds() == ("none", "flips", "rotations", "dihedral", "crops", "crops16")
    with pytest.raises(UsageError, match=r"`tta` must be one of .* Did you mean 'flips'"):
        views("flip")
