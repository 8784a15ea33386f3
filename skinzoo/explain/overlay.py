"""A map drawn over an image, with Pillow and NumPy alone, so that servers can draw it too."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

OPACITY = 0.5
"""That of the published notebooks."""
FOR, AGAINST = (178, 24, 43), (33, 102, 172)
"""Colours of what speaks for a class and against it; the red and blue of Brewer's RdBu."""
_SIGNED_OPACITY = 0.85
_STOPS = (
    "#440154", "#48186a", "#472d7b", "#424086", "#3b528b", "#33638d", "#2c728e", "#26818e", "#21908c",
    "#1f9f88", "#28ae80", "#3ebc74", "#5dc963", "#82d34c", "#abdc32", "#d5e21a", "#fde725",
)  # fmt: skip
"""Matplotlib's `viridis` at seventeen places, whose lightness rises evenly.
That of `jet`, the choice of the published notebooks, does not: steps seem where the map has none."""


def colors(values: np.ndarray) -> np.ndarray:
    """Return the colours of values.

    Args:
        values: Any shape, 0..1.

    Returns:
        uint8 RGB of that shape with a last axis of 3.
    """
    return _TABLE[np.rint(np.clip(values, 0.0, 1.0) * 255.0).astype(np.uint8)]


def scaled(map: np.ndarray) -> np.ndarray:
    """Return a map stretched to 0..1 from its least to its greatest value; zeros where all are equal.

    Raises:
        ValueError: A value is not finite.
    """
    map = np.asarray(map, np.float32)
    if not np.isfinite(map).all():
        raise ValueError("`map` must be finite. Received: NaN or infinity.")
    low, high = float(map.min()), float(map.max())
    return (map - low) / (high - low) if high > low else np.zeros_like(map)


def enlarged(map: np.ndarray, size: int) -> np.ndarray:
    """Return a map `(h, w)` at `(size, size)`, bilinear between the centres of its cells."""
    cells = Image.fromarray(np.ascontiguousarray(map, np.float32))
    return np.asarray(cells.resize((size, size), Image.Resampling.BILINEAR))


def overlay(pixels: np.ndarray, map: np.ndarray, *, opacity: float = OPACITY) -> np.ndarray:
    """Return an image under a map, as pixels; the image in grey, so that all colour is the map's.

    Args:
        pixels: uint8 RGB `(s, s, 3)`, the square as the model sees it.
        map: `(h, w)`, any finite values; stretched to the whole range of colours.
        opacity: Share of the map's colour, 0..1.

    Returns:
        uint8 RGB `(s, s, 3)`.

    Raises:
        ValueError: A shape, a type or the opacity is not as said, or the map is not finite.
    """
    pixels, map = np.asarray(pixels), np.asarray(map)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[0] != pixels.shape[1]:
        raise ValueError(f"`pixels` must be uint8 (s, s, 3). Received: {pixels.dtype} {pixels.shape}.")
    if pixels.shape[2] != 3:
        raise ValueError(f"`pixels` must be RGB. Received: {pixels.shape[2]} channels.")
    if map.ndim != 2 or not map.size:
        raise ValueError(f"`map` must be (h, w). Received: {map.shape}.")
    if not 0.0 <= opacity <= 1.0:
        raise ValueError(f"`opacity` must be within 0..1. Received: {opacity}.")
    # Bilinear weights keep the result within 0..1, so stretching first loses nothing.
    heat = colors(enlarged(scaled(map), pixels.shape[0])).astype(np.float32)
    return np.rint((1.0 - opacity) * _grey(pixels) + opacity * heat).astype(np.uint8)


def signed_overlay(pixels: np.ndarray, map: np.ndarray, *, limit: float) -> np.ndarray:
    """Return a pale grey image under a map with a sign: red where it is above 0, blue where it is below.

    Args:
        pixels: uint8 RGB `(s, s, 3)`.
        map: `(s, s)`; 0 leaves the grey image.
        limit: Absolute value of the full colour, above 0.

    Returns:
        uint8 RGB `(s, s, 3)`.
    """
    paper = 255.0 - 0.6 * (255.0 - _grey(pixels))
    strength = np.clip(np.abs(map) / limit, 0.0, 1.0)[..., None] * _SIGNED_OPACITY
    ink = np.where((map > 0)[..., None], np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    return np.rint((1.0 - strength) * paper + strength * ink).astype(np.uint8)


def outlined(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return an image with the outline of a mask: white, with a dark line outside of it."""
    inner = np.pad(mask, 1)
    inside = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    around = inner[:-2, 1:-1] | inner[2:, 1:-1] | inner[1:-1, :-2] | inner[1:-1, 2:]
    drawn = pixels.copy()
    drawn[around & ~mask] = 20
    drawn[mask & ~inside] = 255
    return drawn


def overlay_png(pixels: np.ndarray, map: np.ndarray, *, opacity: float = OPACITY) -> bytes:
    """Return an image in grey under a map, as the bytes of a PNG.

    Args:
        pixels: uint8 RGB `(s, s, 3)`, the square as the model sees it.
        map: `(h, w)`, any finite values; stretched to the whole range of colours.
        opacity: Share of the map's colour, 0..1.

    Raises:
        ValueError: As `overlay`.
    """
    return png(overlay(pixels, map, opacity=opacity))


def png(pixels: np.ndarray) -> bytes:
    """Return uint8 RGB pixels as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def stops() -> tuple[str, ...]:
    """Return the colours of the map from least to greatest, as `#rrggbb`."""
    return _STOPS


def _grey(pixels: np.ndarray) -> np.ndarray:
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat(grey[..., None], 3, axis=-1)


def _table() -> np.ndarray:
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in _STOPS])
    places = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), places, stops[:, i]) for i in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


_TABLE = _table()
