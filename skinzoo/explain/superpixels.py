"""Dividing an image into the pieces that are covered one by one."""

from __future__ import annotations

import numpy as np

from skinzoo.errors import UsageError, one_of
from skinzoo.extras import require

GRID, SLIC = "grid", "slic"
KINDS = (GRID, SLIC)
SEGMENTS = 49
"""7 x 7: as fine as the feature maps of most backbones at 224 pixels."""
COMPACTNESS = 10.0


def superpixels(pixels: np.ndarray, *, kind: str = GRID, segments: int = SEGMENTS) -> np.ndarray:
    """Divide an image into superpixels.

    Args:
        pixels: uint8 RGB `(s, s, 3)`.
        kind: `grid`, equal squares, which need no further package; or `slic`, which follow edges (Achanta et
            al. 2012, by scikit-image) as Young et al. 2019 did.
        segments: About how many there should be.

    Returns:
        Label of each pixel, int32 `(s, s)`, from 0 without a gap.

    Raises:
        UsageError: There is no such kind, or `segments` is out of range.
        MissingExtraError: `slic` without scikit-image.
    """
    if kind not in KINDS:
        raise one_of("superpixels", kind, KINDS)
    if not 4 <= segments <= 1000:
        raise UsageError(f"`segments` must be within 4..1000. Received: {segments}.")
    size = len(pixels)
    if kind == GRID:
        sides = min(round(segments**0.5), size)
        place = np.arange(size) * sides // size
        return (place[:, None] * sides + place).astype(np.int32)
    slic = require("skimage.segmentation", extra="shap", purpose="--superpixels slic").slic
    labels = slic(pixels, n_segments=segments, compactness=COMPACTNESS, start_label=0, channel_axis=-1)
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
