"""The canvas that synthetic lesions are painted on: noise, stains, spots, strokes and outlines.

A canvas is a square of skin, `(resolution, resolution, 3)` float32 RGB in 0..1, that spans -1.7..1.7 in both
directions with the lesion in its middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

Array = np.ndarray
Colour = Sequence[float] | Array

EXTENT = 1.7


@dataclass
class Canvas:
    """A piece of skin that is being painted.

    Args:
        rng: Source of everything random.
        resolution: Height and width in pixels.
    """

    rng: np.random.Generator
    resolution: int
    colour: Array = field(init=False)
    x: Array = field(init=False)
    y: Array = field(init=False)

    def __post_init__(self) -> None:
        axis = np.linspace(-EXTENT, EXTENT, self.resolution, dtype=np.float32)
        self.x, self.y = np.meshgrid(axis, axis)
        self.colour = np.zeros((self.resolution, self.resolution, 3), dtype=np.float32)

    def noise(self, cells: float, octaves: int = 3, fading: float = 0.55) -> Array:
        """Return smooth noise with mean 0 and standard deviation 1.

        Args:
            cells: Grains of the coarsest octave along one side.
            octaves: Number of octaves; each has twice the grains of the one before.
            fading: Weight of an octave relative to the one before.
        """
        total = np.zeros_like(self.x)
        for octave in range(octaves):
            size = max(3, min(self.resolution, round(cells * 2**octave) + 2))
            grid = self.rng.standard_normal((size, size), dtype=np.float32)
            layer = Image.fromarray(grid).resize((self.resolution, self.resolution), Image.Resampling.BICUBIC)
            total += fading**octave * np.asarray(layer)
        return (total - total.mean()) / (total.std() + 1e-6)

    def blend(self, colour: Colour, opacity: Array | float) -> None:
        """Lay a colour over the canvas with an opacity in 0..1."""
        alpha = np.clip(opacity, 0.0, 1.0).astype(np.float32)
        self.colour += (np.asarray(colour, dtype=np.float32) - self.colour) * alpha[..., None]

    def stain(self, transmitted: Colour, amount: Array | float) -> None:
        """Let the skin shine through a pigment (Beer's law).

        Args:
            transmitted: Share of light that one unit of the pigment lets through, for each channel.
            amount: Amount of pigment; negative values count as none.
        """
        log = np.log(np.asarray(transmitted, dtype=np.float32))
        self.colour *= np.exp(np.maximum(amount, 0).astype(np.float32)[..., None] * log)

    def spots(
        self, count: int, size: tuple[float, float], spread: float, within: Array | None = None
    ) -> Array:
        """Return the coverage of round spots.

        Args:
            count: How many.
            size: Smallest and largest radius.
            spread: Radius of the disc that their centres lie in.
            within: Only centres where this is above one half are kept.
        """
        covered = np.zeros_like(self.x)
        fade = 3.4 / self.resolution
        for _ in range(count):
            angle, distance = self.rng.uniform(0, 2 * np.pi), spread * np.sqrt(self.rng.random())
            cx, cy = distance * np.cos(angle), distance * np.sin(angle)
            radius, stretch = self.rng.uniform(*size), self.rng.uniform(0.75, 1.3)
            if within is not None and within[self._pixel(cy), self._pixel(cx)] < 0.5:
                continue
            rows, columns = self._window(cy, radius + 4 * fade), self._window(cx, radius + 4 * fade)
            away = np.hypot((self.x[rows, columns] - cx) * stretch, (self.y[rows, columns] - cy) / stretch)
            covered[rows, columns] = np.maximum(covered[rows, columns], step((radius - away) / fade))
        return covered

    def strokes(self, paths: Sequence[tuple[Array, Array, float]]) -> Array:
        """Return the coverage of curves.

        Args:
            paths: For each curve its x and y coordinates and its width.
        """
        factor = 2
        image = Image.new("L", (self.resolution * factor, self.resolution * factor))
        draw = ImageDraw.Draw(image)
        scale = self.resolution * factor / (2 * EXTENT)
        for px, py, width in paths:
            points = [((u + EXTENT) * scale, (v + EXTENT) * scale) for u, v in zip(px, py, strict=True)]
            draw.line(points, fill=255, width=max(1, round(width * scale)), joint="curve")
        small = image.resize((self.resolution, self.resolution), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32) / 255

    def branches(self, count: int, *, spread: float, width: float, length: float) -> Array:
        """Return the coverage of branching vessels that grow inwards.

        Args:
            count: Number of stems.
            spread: Radius of the circle that they start on.
            width: Width of a stem.
            length: Mean length of a stem.
        """
        rng = self.rng
        paths: list[tuple[Array, Array, float]] = []

        def grow(x: float, y: float, heading: float, reach: float, thick: float, depth: int) -> None:
            steps = 14
            turns = heading + np.cumsum(rng.normal(0, 0.25, steps))
            px = x + np.cumsum(np.cos(turns)) * reach / steps
            py = y + np.cumsum(np.sin(turns)) * reach / steps
            paths.append((np.r_[x, px], np.r_[y, py], thick))
            for _ in range(int(rng.integers(1, 4)) if depth else 0):
                at = int(rng.integers(3, steps))
                side = turns[at] + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
                grow(px[at], py[at], side, reach * 0.55, thick * 0.6, depth - 1)

        for _ in range(count):
            place = rng.uniform(0, 2 * np.pi)
            start = spread * rng.uniform(0.5, 1.05)
            reach = length * rng.uniform(0.5, 1.2)
            heading = place + np.pi + rng.normal(0, 0.8)
            grow(start * np.cos(place), start * np.sin(place), heading, reach, width, 2)
        return self.strokes(paths)

    def _pixel(self, value: float) -> int:
        place = (value + EXTENT) / (2 * EXTENT) * (self.resolution - 1)
        return int(np.clip(round(place), 0, self.resolution - 1))

    def _window(self, centre: float, radius: float) -> slice:
        return slice(self._pixel(centre - radius), self._pixel(centre + radius) + 1)


@dataclass(frozen=True)
class Outline:
    """The extent of a lesion on a canvas.

    Args:
        depth: Signed distance to the border relative to the lesion's radius: 1 in the middle, 0 on it,
            negative outside.
        mask: Soft membership in 0..1.
        angle: Polar angle around the lesion's middle, in radians.
        radius: Mean radius.
    """

    depth: Array
    mask: Array
    angle: Array
    radius: float


def outline(
    canvas: Canvas, *, irregular: float, elongated: float, border: float, radius: float, ragged: float = 0.1
) -> Outline:
    """Draw the outline of a lesion.

    Args:
        canvas: Where.
        irregular: Size of notches and bulges relative to the radius.
        elongated: Ratio of the axes.
        border: Width of the border relative to the radius.
        radius: Mean radius in canvas units.
        ragged: Size of fine fringes relative to the radius.
    """
    rng = canvas.rng
    turn = rng.uniform(0, np.pi)
    u = (np.cos(turn) * canvas.x + np.sin(turn) * canvas.y) / np.sqrt(elongated)
    v = (np.cos(turn) * canvas.y - np.sin(turn) * canvas.x) * np.sqrt(elongated)
    angle = np.arctan2(v, u)
    edge = np.ones_like(u)
    for order in range(2, 9):
        bulge = irregular / order**0.7 * rng.normal()
        edge += bulge * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    edge += 0.3 * irregular * canvas.noise(5 / radius, 2) + ragged * canvas.noise(14, 3, 0.7)
    depth = 1 - np.hypot(u, v) / (radius * np.clip(edge, 0.35, 1.7))
    return Outline(depth.astype(np.float32), step(depth / border * 2), angle, radius)


def step(value: Array | float) -> Array:
    """Return a smooth step from 0 to 1 around 0."""
    return np.asarray(1 / (1 + np.exp(-2 * np.clip(value, -30, 30))), dtype=np.float32)
