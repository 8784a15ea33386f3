"""Maps drawn over images."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from skinzoo.explain.overlay import (
    colors,
    enlarged,
    outlined,
    overlay,
    overlay_png,
    scaled,
    signed_overlay,
)

GREY = np.full((32, 32, 3), 200, np.uint8)


def test_the_png_holds_the_mixed_pixels():
    spot = np.zeros((4, 4))
    spot[1, 2] = 3.0
    picture = Image.open(io.BytesIO(overlay_png(GREY, spot, opacity=0.25)))
    pixels = np.asarray(picture)
    assert picture.format == "PNG" and pixels.shape == (32, 32, 3)
    # The centre of cell (1, 2), which has the map's greatest value, and a corner with its least.
    hot = enlarged(spot / 3.0, 32)[12, 20]
    for (row, column), value in (((12, 20), hot), ((31, 0), 0.0)):
        expected = 0.75 * 200 + 0.25 * colors(np.array(value)).astype(float)
        np.testing.assert_allclose(pixels[row, column], expected, atol=1)


def test_colours_are_those_of_viridis():
    import matplotlib

    values = np.linspace(0, 1, 256)
    np.testing.assert_allclose(colors(values), matplotlib.colormaps["viridis"](values)[:, :3] * 255, atol=7)


def test_opacity_zero_is_the_image_in_grey_and_one_is_the_map_alone():
    ramp = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(overlay(GREY, ramp, opacity=0.0), GREY)
    red = np.zeros_like(GREY) + np.array([255, 0, 0], np.uint8)
    np.testing.assert_array_equal(overlay(red, ramp, opacity=0.0), np.full_like(GREY, 76))
    np.testing.assert_array_equal(
        overlay(GREY, ramp, opacity=1.0), overlay(np.zeros_like(GREY), ramp, opacity=1.0)
    )


def test_scale_and_offset_of_a_map_do_not_show():
    ramp = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(overlay(GREY, ramp), overlay(GREY, 5 * ramp - 100))


def test_a_map_without_differences_has_one_colour():
    flat = overlay(GREY, np.full((7, 7), 0.02))
    assert len(np.unique(flat.reshape(-1, 3), axis=0)) == 1
    assert not scaled(np.full((3, 3), 9.0)).any()


@pytest.mark.parametrize(
    ("pixels", "values", "opacity", "named"),
    [
        (GREY.astype(np.float32), np.eye(3), 0.5, "uint8"),
        (GREY[:16], np.eye(3), 0.5, r"\(s, s, 3\)"),
        (GREY[..., :1], np.eye(3), 0.5, "RGB"),
        (GREY, np.ones(3), 0.5, r"\(h, w\)"),
        (GREY, np.ones((0, 3)), 0.5, r"\(h, w\)"),
        (GREY, np.eye(3), 1.5, "opacity"),
        (GREY, np.full((3, 3), np.nan), 0.5, "finite"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(pixels, values, opacity, named):
    with pytest.raises(ValueError, match=named):
        overlay_png(pixels, values, opacity=opacity)


def test_drawing_needs_neither_tensorflow_nor_matplotlib():
    code = (
        "import sys, numpy as np; from skinzoo.explain.overlay import overlay_png;"
        "overlay_png(np.zeros((8, 8, 3), np.uint8), np.eye(2));"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_map_with_a_sign_is_red_for_and_blue_against():
    spots = np.zeros((32, 32))
    spots[0, 0], spots[0, 1], spots[0, 2] = 0.2, -0.2, 0.02
    drawn = signed_overlay(GREY, spots, limit=0.2).astype(int)
    assert drawn[0, 0, 0] > drawn[0, 0, 2] + 90 and drawn[0, 1, 2] > drawn[0, 1, 0] + 90
    assert len(set(drawn[5, 5])) == 1 and abs(drawn[0, 2] - drawn[5, 5]).max() < 25


def test_an_outline_runs_along_the_inside_of_the_mask():
    mask = np.zeros((32, 32), bool)
    mask[8:20, 8:20] = True
    drawn = outlined(GREY, mask)
    assert (drawn[8, 8:20] == 255).all() and (drawn[7, 8:20] == 20).all()
    np.testing.assert_array_equal(drawn[10:18, 10:18], GREY[10:18, 10:18])
    np.testing.assert_array_equal(GREY, np.full((32, 32, 3), 200))
