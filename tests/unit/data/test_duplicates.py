"""Near-duplicates of textured pictures under what happens to copies, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from scipy.ndimage import gaussian_filter

from skinzoo.data.duplicates import ALL_PAIRS, SIMILARITY, Pair, components, identical_groups, near_duplicates
from skinzoo.data.scan import THUMBNAIL_SIZE, scan_images


def picture(seed, size=(200, 150)):
    """A blob on skin with texture and hairs, of its own for each seed."""
    rng = np.random.default_rng(seed)
    width, height = size
    y, x = np.mgrid[:height, :width]
    skin = gaussian_filter(rng.normal(size=(height, width)), 1.5) * 30
    centre = rng.uniform(0.35, 0.65, 2) * (height, width)
    radius = rng.uniform(0.15, 0.3) * height
    blob = 1 / (1 + np.exp((np.hypot(y - centre[0], x - centre[1]) - radius) / 4))
    grey = 190 + skin - 90 * blob + gaussian_filter(rng.normal(size=(height, width)), 2) * 60 * blob
    pixels = np.clip(np.stack([grey, grey * 0.8, grey * 0.7], axis=-1), 0, 255).astype(np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Sixty different pictures, more than are compared pair by pair, as files."""
    folder = tmp_path_factory.mktemp("crowd")
    paths = []
    for seed in range(60):
        paths.append(str(folder / f"{seed}.jpg"))
        picture(seed).save(paths[-1], quality=92)
    assert len(paths) > ALL_PAIRS
    return paths


def shifted(image):
    return Image.fromarray(np.roll(np.asarray(image), (6, -9), axis=(0, 1)))


COPIES = {
    "recompressed": (lambda image: image, {"quality": 55}, "upright"),
    "smaller": (lambda image: image.resize((120, 90)), {}, "upright"),
    "larger": (lambda image: image.resize((600, 450)), {}, "upright"),
    "squashed": (lambda image: image.resize((224, 224)), {}, "upright"),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.25), {}, "upright"),
    "white-balanced": (
        lambda image: Image.merge(
            "RGB",
            [
                band.point([min(255, int(v * g)) for v in range(256)])
                for band, g in zip(image.split(), (1, 1.1, 1.25), strict=True)
            ],
        ),
        {},
        "upright",
    ),
    "grey": (lambda image: image.convert("L"), {}, "upright"),
    "shifted": (shifted, {}, "upright"),
    "mirrored": (ImageOps.mirror, {}, "mirrored"),
    "flipped": (ImageOps.flip, {}, "flipped"),
    "half turn": (lambda image: image.transpose(Image.Transpose.ROTATE_180), {}, "turned by 180 degrees"),
    "quarter turn": (lambda image: image.transpose(Image.Transpose.ROTATE_90), {}, "turned by 90 degrees"),
    "three quarters": (
        lambda image: image.transpose(Image.Transpose.ROTATE_270),
        {},
        "turned by 270 degrees",
    ),
    "transposed": (lambda image: image.transpose(Image.Transpose.TRANSPOSE), {}, "transposed"),
    "transverse": (lambda image: image.transpose(Image.Transpose.TRANSVERSE), {}, "transverse"),
}


@pytest.mark.parametrize("many", [False, True], ids=["few", "many"])
def test_copies_are_found_and_nothing_else(crowd, tmp_path, many):
    originals = crowd if many else crowd[: len(COPIES)]
    paths = list(originals)
    for i, (name, (change, options, _)) in enumerate(COPIES.items()):
        paths.append(str(tmp_path / f"{name}.jpg"))
        change(Image.open(crowd[i])).save(paths[-1], **{"quality": 90, **options})
    found = near_duplicates(scan_images(paths).thumbnails)
    wanted = {(i, len(originals) + i) for i in range(len(COPIES))}
    assert {(pair.first, pair.second) for pair in found} == wanted
    orientations = {pair.first: pair.orientation for pair in found}
    assert [orientations[i] for i in range(len(COPIES))] == [kind for _, _, kind in COPIES.values()]
    assert all(SIMILARITY <= pair.similarity <= 1.001 for pair in found)
    assert found == sorted(found, key=lambda pair: -pair.similarity)


def test_pictures_that_are_known_to_belong_together_are_passed_over(crowd):
    thumbnails = scan_images(crowd[:3]).thumbnails[[0, 0, 0, 1, 2]]
    assert {(p.first, p.second) for p in near_duplicates(thumbnails)} == {(0, 1), (0, 2), (1, 2)}
    known = ["a", "a", "", "", ""]
    assert {(p.first, p.second) for p in near_duplicates(thumbnails, known=known)} == {(0, 2), (1, 2)}


@pytest.mark.parametrize("count", [2, 70])
def test_blank_pictures_are_not_duplicates(count):
    blank = np.full((count, THUMBNAIL_SIZE, THUMBNAIL_SIZE), 128, np.uint8)
    assert near_duplicates(blank) == []


def test_equal_pictures_have_similarity_one(crowd):
    thumbnails = scan_images(crowd[:1]).thumbnails[[0, 0]]
    assert near_duplicates(thumbnails) == [Pair(0, 1, pytest.approx(1, abs=1e-3), "upright")]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures(count):
    assert near_duplicates(np.zeros((count, THUMBNAIL_SIZE, THUMBNAIL_SIZE), np.uint8)) == []


def test_identical_groups():
    assert identical_groups(["a", "b", "a", "", "", "b", "a"]) == [[0, 2, 6], [1, 5]]


def test_components():
    assert components(6, [(4, 2), (2, 5), (0, 1)]) == [0, 0, 2, 3, 2, 2]
    assert components(3, []) == [0, 1, 2]


@pytest.mark.realdata
def test_near_duplicates_across_parts_of_isic2017(shared):
    """The official test part of ISIC-2017 repeats images of the training part."""
    paths = sorted(str(path) for path in (shared / "data" / "isic2017").glob("*/*.jpg"))
    found = near_duplicates(scan_images(paths).thumbnails)
    parts = [path.split("ISIC-2017_")[1].split("_")[0] for path in paths]
    assert len(found) == 49
    assert sum({parts[pair.first], parts[pair.second]} == {"Test", "Training"} for pair in found) > 10
