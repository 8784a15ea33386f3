"""Views of an image for test-time augmentation: the probabilities of the views are averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from skinzoo.errors import one_of

CROP = 0.875
"""Side of a crop as a share of the image's."""


@dataclass(frozen=True)
class View:
    """One way to look at a batch of images.

    Args:
        name: What it is.
        show: Takes uint8 `(batch, size, size, 3)` and returns the same shape and type.
    """

    name: str
    show: Callable[[np.ndarray], np.ndarray]


def views(name: str) -> tuple[View, ...]:
    """Return the views of a kind of test-time augmentation.

    Args:
        name: `none`, `flips` (4 views), `rotations` (4), `dihedral` (all 8 of both), `crops` (the image,
            its corners and its middle) or `crops16` (a grid of 4 by 4 crops, as Gessert et al. 2020 and Yao
            et al. 2022 take them).

    Raises:
        UsageError: There is no such kind.
    """
    if name not in _KINDS:
        raise one_of("tta", name, _KINDS)
    return tuple(_KINDS[name])


def kinds() -> tuple[str, ...]:
    """Return the names of all kinds."""
    return tuple(_KINDS)


def _turned(quarters: int, mirrored: bool) -> View:
    def show(images: np.ndarray) -> np.ndarray:
        turned = np.rot90(images, quarters, axes=(1, 2))
        return np.ascontiguousarray(turned[:, :, ::-1] if mirrored else turned)

    return View(f"{90 * quarters} degrees" + (", mirrored" if mirrored else ""), show)


def _cropped(name: str, down: float, right: float) -> View:
    def show(images: np.ndarray) -> np.ndarray:
        import tensorflow as tf

        size = images.shape[1]
        side = max(1, round(CROP * size))
        top, left = round(down * (size - side)), round(right * (size - side))
        crop = images[:, top : top + side, left : left + side]
        grown: np.ndarray = tf.image.resize(crop, (size, size), method="bilinear").numpy()
        return np.clip(np.rint(grown), 0, 255).astype(np.uint8)

    return View(f"{name} crop", show)


_AS_IT_IS = _turned(0, False)
_KINDS: dict[str, Sequence[View]] = {
    "none": (_AS_IT_IS,),
    "flips": (_AS_IT_IS, _turned(0, True), _turned(2, True), _turned(2, False)),
    "rotations": tuple(_turned(quarters, False) for quarters in range(4)),
    "dihedral": tuple(_turned(quarters, mirrored) for mirrored in (False, True) for quarters in range(4)),
    "crops": (
        _AS_IT_IS,
        _cropped("upper left", 0, 0),
        _cropped("upper right", 0, 1),
        _cropped("lower left", 1, 0),
        _cropped("lower right", 1, 1),
        _cropped("middle", 0.5, 0.5),
    ),
    "crops16": tuple(
        _cropped(f"row {row + 1}, column {column + 1}", row / 3, column / 3)
        for row in range(4)
        for column in range(4)
    ),
}
