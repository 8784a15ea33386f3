"""Photographing a painted lesion: another turn, distance, light, hair and lens each time."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from skinzoo.data.lesion_canvas import EXTENT, Array, step

_DETAIL = 1.5


def photograph(canvas: Array, rng: np.random.Generator, *, width: int, height: int) -> Array:
    """Take a picture of a canvas.

    Args:
        canvas: What `skinzoo.data.lesion_painter.paint_lesion` returned.
        rng: Source of everything random.
        width: Width of the picture in pixels.
        height: Its height.

    Returns:
        uint8 RGB of shape `(height, width, 3)`.
    """
    wide, high = round(width * _DETAIL), round(height * _DETAIL)
    picture = _with_hair(_view(canvas, rng, wide, high), rng)
    x, y = np.meshgrid(
        np.linspace(-wide / high, wide / high, wide, dtype=np.float32),
        np.linspace(-1, 1, high, dtype=np.float32),
    )
    picture *= _light(x, y, rng)[..., None] * _white_balance(rng)
    if rng.random() < 0.25:
        picture = _with_glare(picture, x, y, rng)
    picture *= _lens(x, y, rng)[..., None]
    blur = rng.uniform(0.0, 0.009) * high
    if blur > 0.5:
        picture = ndimage.gaussian_filter(picture, (blur, blur, 0))
    small = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BOX
    )
    grain = rng.normal(0, rng.uniform(0.5, 2.5), size=(height, width, 1))
    return np.clip(np.asarray(small, dtype=np.float32) + grain, 0, 255).astype(np.uint8)


def _view(canvas: Array, rng: np.random.Generator, wide: int, high: int) -> Array:
    resolution = canvas.shape[0]
    scale = resolution / (2 * EXTENT) * 2 * rng.uniform(0.82, 1.15) / high
    turn, mirror = rng.uniform(0, 2 * np.pi), rng.choice([-1.0, 1.0])
    across = np.array([mirror * np.cos(turn), mirror * np.sin(turn)]) * scale
    down = np.array([-np.sin(turn), np.cos(turn)]) * scale
    reach = resolution // 2
    middle = reach + resolution / 2 + rng.normal(0, 0.08, size=2) * resolution / (2 * EXTENT)
    corner = middle - across * wide / 2 - down * high / 2
    padded = np.pad(
        (canvas * 255).round().astype(np.uint8), ((reach,) * 2, (reach,) * 2, (0, 0)), mode="reflect"
    )
    picture = Image.fromarray(padded).transform(
        (wide, high),
        Image.Transform.AFFINE,
        (across[0], down[0], corner[0], across[1], down[1], corner[1]),
        resample=Image.Resampling.BILINEAR,
    )
    return np.asarray(picture, dtype=np.float32) / 255


def _with_hair(picture: Array, rng: np.random.Generator) -> Array:
    kind = rng.random()
    count = 0 if kind < 0.5 else int(rng.integers(1, 7) if kind < 0.88 else rng.integers(8, 24))
    if not count:
        return picture
    high, wide = picture.shape[:2]
    image = Image.new("L", (wide, high))
    draw = ImageDraw.Draw(image)
    lie = rng.uniform(0, np.pi)
    for _ in range(count):
        heading = lie + rng.normal(0, 0.35)
        start = rng.uniform([-0.1 * wide, -0.1 * high], [1.1 * wide, 1.1 * high])
        stride = rng.uniform(0.25, 1.0) * high / 12
        turns = heading + np.cumsum(rng.normal(0, 0.03, 12)) + np.linspace(0, rng.normal(0, 0.5), 12)
        xs, ys = start[0] + np.cumsum(np.cos(turns)) * stride, start[1] + np.cumsum(np.sin(turns)) * stride
        draw.line(
            list(zip(xs, ys, strict=True)), fill=int(rng.uniform(110, 230)), width=max(1, round(high / 110))
        )
    alpha = ndimage.gaussian_filter(np.asarray(image, dtype=np.float32) / 255, 0.6)[..., None]
    tone = np.array([0.18, 0.12, 0.10]) if rng.random() < 0.8 else np.array([0.75, 0.62, 0.45])
    return picture + (tone.astype(np.float32) - picture) * alpha


def _light(x: Array, y: Array, rng: np.random.Generator) -> Array:
    fall = rng.uniform(0.02, 0.2)
    slope, heading = rng.uniform(0, 0.08), rng.uniform(0, 2 * np.pi)
    tilt = slope * (np.cos(heading) * x + np.sin(heading) * y)
    return rng.uniform(0.9, 1.1) * (1 - fall * (x**2 + y**2) / 2.2 + tilt)


def _white_balance(rng: np.random.Generator) -> Array:
    cast = rng.dirichlet([5.0, 1.0, 1.0, 1.0])
    gains = np.array([[1.0, 1.0, 1.0], [1.04, 0.84, 0.93], [1.06, 0.88, 0.78], [0.96, 0.95, 1.08]])
    return (cast @ gains).astype(np.float32)


def _with_glare(picture: Array, x: Array, y: Array, rng: np.random.Generator) -> Array:
    for _ in range(int(rng.integers(1, 4))):
        cx, cy, size = rng.uniform(-1.1, 1.1), rng.uniform(-0.9, 0.9), rng.uniform(0.01, 0.035)
        shine = np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / size**2))[..., None]
        picture = picture + (1 - picture) * 0.8 * shine
    return picture


def _lens(x: Array, y: Array, rng: np.random.Generator) -> Array:
    kind = rng.random()
    away = np.hypot(x - rng.normal(0, 0.06), y - rng.normal(0, 0.05))
    if kind < 0.13:
        return step((rng.uniform(1.15, 1.55) - away) / 0.02) * 0.97 + 0.03
    if kind < 0.4:
        return np.asarray(1 - rng.uniform(0.3, 0.8) * step((away - rng.uniform(1.35, 1.6)) / 0.12))
    return np.ones_like(x)
