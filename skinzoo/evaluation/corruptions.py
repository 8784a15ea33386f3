"""Corrupted copies of decoded images, at five graded strengths, after Hendrycks and Dietterich (2019).

They are applied to the decoded uint8 square, before test-time augmentation and the model: all runs then meet
the same damage relative to what they see, whatever the resolution of the files. What depends on chance
follows from the seed and the image id alone, so neither order nor batch size changes it.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from skinzoo.errors import UsageError

STRENGTHS = (1, 2, 3, 4, 5)
CLEAN = "clean"

BLUR_SHARES = (0.006, 0.01, 0.015, 0.022, 0.03)
"""Standard deviation of the Gaussian as a share of the side."""
JPEG_QUALITIES = (60, 40, 25, 15, 8)
BRIGHTNESS_SHIFTS = (0.1, 0.2, 0.3, 0.4, 0.5)
"""Added to or taken off values of 0..1."""
OCCLUDED_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4)
"""Share of the area that one grey square covers."""
GREY = 128


@dataclass(frozen=True)
class Corruption:
    """One way to spoil images.

    Args:
        name: What it is.
        text: What it does at each strength, for reports.
        spoil: Takes one uint8 image `(size, size, 3)`, the strength from 1 to 5 and a generator of chance.
    """

    name: str
    text: str
    spoil: Callable[[np.ndarray, int, np.random.Generator], np.ndarray]


def corrupted(
    images: np.ndarray, ids: Sequence[str], *, name: str, strength: int, seed: int = 0
) -> np.ndarray:
    """Return corrupted copies of images.

    Args:
        images: uint8 `(batch, size, size, 3)`.
        ids: Their ids, which chance follows from.
        name: Name of one of `CORRUPTIONS`.
        strength: From 1 to 5.
        seed: Seed.

    Raises:
        UsageError: There is no such strength.
    """
    if strength not in STRENGTHS:
        raise UsageError(f"`strength` must be one of 1 to {len(STRENGTHS)}. Received: {strength}.")
    spoil = CORRUPTIONS[name].spoil
    return np.stack(
        [
            spoil(image, strength, _chance(seed, name, image_id))
            for image, image_id in zip(images, ids, strict=True)
        ]
    )


def corruption(name: str, strength: int, seed: int = 0) -> Callable[[np.ndarray, Sequence[str]], np.ndarray]:
    """Return one corruption as a function of images and their ids."""
    return functools.partial(corrupted, name=name, strength=strength, seed=seed)


def _chance(seed: int, name: str, image_id: str) -> np.random.Generator:
    # The strength is left out: a stronger one then hits the same place.
    digest = hashlib.sha256(f"{seed}/{name}/{image_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def _blur(image: np.ndarray, strength: int, chance: np.random.Generator) -> np.ndarray:
    sigma = BLUR_SHARES[strength - 1] * image.shape[0]
    blurred = ndimage.gaussian_filter(image.astype(np.float32), (sigma, sigma, 0), mode="nearest")
    return _as_pixels(blurred)


def _jpeg(image: np.ndarray, strength: int, chance: np.random.Generator) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITIES[strength - 1])
    with Image.open(file) as found:
        return np.array(found)


def _brightness(image: np.ndarray, strength: int, chance: np.random.Generator) -> np.ndarray:
    sign = 1 if chance.random() < 0.5 else -1
    return _as_pixels(image + np.float32(sign * 255 * BRIGHTNESS_SHIFTS[strength - 1]))


def _occlusion(image: np.ndarray, strength: int, chance: np.random.Generator) -> np.ndarray:
    size = image.shape[0]
    side = max(1, round(size * OCCLUDED_SHARES[strength - 1] ** 0.5))
    top, left = (chance.random(2) * (size - side + 1)).astype(int)
    covered = image.copy()
    covered[top : top + side, left : left + side] = GREY
    return covered


def _as_pixels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _listed(values: Sequence[float], percent: bool = False) -> str:
    return ", ".join(f"{100 * v:g}" if percent else f"{v:g}" for v in values)


CORRUPTIONS: dict[str, Corruption] = {
    one.name: one
    for one in (
        Corruption(
            "blur",
            f"Gaussian blur, standard deviation {_listed(BLUR_SHARES, True)} % of the side",
            _blur,
        ),
        Corruption("jpeg", f"JPEG of quality {_listed(JPEG_QUALITIES)}", _jpeg),
        Corruption(
            "brightness",
            f"all values raised or, by chance, lowered by {_listed(BRIGHTNESS_SHIFTS, True)} % of the range",
            _brightness,
        ),
        Corruption(
            "occlusion",
            f"one grey square at a place of chance, over {_listed(OCCLUDED_SHARES, True)} % of the area",
            _occlusion,
        ),
    )
}
