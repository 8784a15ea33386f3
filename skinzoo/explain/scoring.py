"""How one map agrees with one lesion mask, and the maps that have seen nothing.

Maps are enlarged to the model's square, bilinear as overlays show them, and judged there:

* share: how much of the map's sum lies inside the lesion;
* pointing game: whether its greatest value does (Zhang et al. 2018, without tolerance; where several pixels
  share the greatest value, the share of them that does);
* IoU: intersection over union of the lesion and the pixels at or above a threshold, with the map stretched
  to 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skinzoo.explain.overlay import enlarged, scaled

THRESHOLDS = np.linspace(0.0, 1.0, 21)
"""Of the map stretched to 0..1; at 0 the region is the whole image."""
UNIFORM, CENTRE = "uniform", "centre"
CENTRE_WIDTH = 0.25
"""Standard deviation of the map that falls off from the centre, in sides of the image."""


@dataclass(frozen=True)
class ImageScores:
    """How one map agrees with one mask.

    Args:
        share: Share of the map's sum inside the lesion; NaN where the map is 0 everywhere.
        pointing: Share of the greatest pixels inside the lesion; NaN where the map is 0 everywhere.
        iou: IoU at each of `THRESHOLDS`, `(21,)`.
    """

    share: float
    pointing: float
    iou: np.ndarray


def score_map(map: np.ndarray, mask: np.ndarray) -> ImageScores:
    """Compare a map with a mask.

    Args:
        map: `(h, w)`, not negative.
        mask: bool `(s, s)`, with at least one pixel of lesion.
    """
    large = enlarged(map, len(mask)).astype(np.float64)
    total, greatest = float(large.sum()), float(large.max())
    level = scaled(large)
    # One pass over the pixels for all thresholds: how many are at or above each, inside and in all.
    steps = np.searchsorted(THRESHOLDS, level.ravel(), side="right")
    inside = np.bincount(steps[mask.ravel()], minlength=len(THRESHOLDS) + 1)[::-1].cumsum()[::-1][1:]
    anywhere = np.bincount(steps, minlength=len(THRESHOLDS) + 1)[::-1].cumsum()[::-1][1:]
    iou = inside / (mask.sum() + anywhere - inside)
    if total <= 0.0:
        return ImageScores(float("nan"), float("nan"), iou)
    return ImageScores(
        share=float(large[mask].sum()) / total, pointing=float(mask[large == greatest].mean()), iou=iou
    )


def reference_maps(size: int) -> dict[str, np.ndarray]:
    """Return the maps that have seen nothing, float32 `(size, size)`, by name."""
    place = (np.arange(size) + 0.5) / size - 0.5
    fall = np.exp(-0.5 * (place / CENTRE_WIDTH) ** 2)
    return {
        UNIFORM: np.ones((size, size), np.float32),
        CENTRE: np.outer(fall, fall).astype(np.float32),
    }
