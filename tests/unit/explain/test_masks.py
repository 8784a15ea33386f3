"""Lesion masks: found by image id and brought to the square that the model sees."""

import numpy as np
import pytest
from PIL import Image

from skinzoo.data.decode import Decoding
from skinzoo.errors import DataError
from skinzoo.explain.masks import find_masks, mask_of, read_mask


def drawn(path, size, box, value=255, mode="L"):
    mask = np.zeros(size[::-1], np.uint8)
    left, top, right, bottom = box
    mask[top:bottom, left:right] = value
    Image.fromarray(mask).convert(mode).save(path)
    return path


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (200, 150), (200, 150, 120)).save(path)
    return path


def test_a_larger_mask_is_squashed_like_its_image(tmp_path, photo):
    mask = read_mask(drawn(tmp_path / "m.png", (600, 450), (300, 0, 600, 225)), photo, Decoding(size=64))
    assert mask.dtype == bool and mask.shape == (64, 64)
    expected = np.zeros((64, 64), bool)
    expected[:32, 32:] = True
    np.testing.assert_array_equal(mask, expected)


def test_a_mask_is_cut_like_its_image(tmp_path, photo):
    # Of 200 x 150 the middle 150 x 150 are left, whose left third ends at 75.
    path = drawn(tmp_path / "m.png", (200, 150), (0, 0, 75, 150))
    mask = read_mask(path, photo, Decoding(size=60, resize="crop"))
    np.testing.assert_array_equal(np.flatnonzero(mask[0]), np.arange(20))


@pytest.mark.parametrize(("value", "mode"), [(255, "L"), (1, "L"), (255, "RGB"), (255, "1"), (255, "P")])
def test_every_kind_of_black_and_white_gives_the_same(tmp_path, photo, value, mode):
    path = drawn(tmp_path / "m.png", (200, 150), (50, 50, 150, 100), value, mode)
    assert read_mask(path, photo, Decoding(size=50)).mean() == pytest.approx(1 / 6, abs=0.01)


def test_an_empty_mask_has_no_lesion(tmp_path, photo):
    assert not read_mask(drawn(tmp_path / "m.png", (200, 150), (0, 0, 0, 0)), photo, Decoding(size=50)).any()


def test_names_of_masks(tmp_path, photo):
    for name in ("A_segmentation.png", "A.png", "B_lesion.bmp", "C.PNG", "D_Mask.png", "E.jpg", "read.txt"):
        (tmp_path / "masks" / name[0]).mkdir(parents=True, exist_ok=True)
        (tmp_path / "masks" / name[0] / name).write_bytes(b"")
    found = find_masks(tmp_path / "masks")
    assert sorted(found) == ["A", "B", "C", "D"]
    assert found["A"].name == "A_segmentation.png"
    assert mask_of(found, "Z", photo, Decoding(size=50)) is None


def test_no_masks_are_an_error(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        find_masks(tmp_path / "gone")
    (tmp_path / "photo.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="holds none"):
        find_masks(tmp_path)


def test_an_image_is_no_mask(tmp_path, photo):
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "m.png")
    with pytest.raises(DataError, match="black and white"):
        read_mask(tmp_path / "m.png", photo, Decoding(size=50))


def test_a_mask_of_another_crop_is_refused(tmp_path, photo):
    with pytest.raises(DataError, match=r"aspect ratio.*150x150 for an image of 200x150"):
        read_mask(drawn(tmp_path / "m.png", (150, 150), (0, 0, 9, 9)), photo, Decoding(size=50))


def test_a_broken_mask_is_named(tmp_path, photo):
    path = tmp_path / "m.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 2, (150, 200), np.uint8) * 255).save(path)
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(DataError, match=r"m\.png"):
        read_mask(path, photo, Decoding(size=50))
