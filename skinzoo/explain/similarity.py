"""How alike two maps are."""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.ndimage import gaussian_filter

from skinzoo.explain.overlay import enlarged, scaled

SSIM_SIZE = 64
"""Pixels at which structural similarity is taken, so that maps of any size can be compared."""
_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03


def spearman(first: np.ndarray, second: np.ndarray) -> float | None:
    """Return by how much a second map keeps the ranks of a first one: their rank correlation.

    Args:
        first: `(h, w)`.
        second: `(h, w)`.

    Returns:
        -1..1; 0 where the second map is the same everywhere, and None where the first is, which has no ranks
        to keep.
    """
    if np.ptp(first) == 0:
        return None
    if np.ptp(second) == 0:
        return 0.0
    return float(stats.spearmanr(first.ravel(), second.ravel()).statistic)


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean structural similarity of two maps (Wang et al. 2004).

    Both are enlarged to 64 x 64 pixels and stretched to 0..1. Windows are Gaussian, of 1.5 pixels' deviation.

    Args:
        first: `(h, w)`.
        second: `(h, w)`, of any size.
    """
    x, y = (scaled(enlarged(one, SSIM_SIZE)).astype(np.float64) for one in (first, second))

    def mean(values: np.ndarray) -> np.ndarray:
        return np.asarray(gaussian_filter(values, _SIGMA, truncate=3.5, mode="reflect"))

    mx, my = mean(x), mean(y)
    vx, vy, vxy = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    c1, c2 = _K1**2, _K2**2
    index = ((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    # The filter's half width is left out at the borders, where windows lack part of the image.
    border = round(3.5 * _SIGMA)
    return float(index[border:-border, border:-border].mean())
