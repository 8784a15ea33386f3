"""Drawing synthetic lesions: one canvas a lesion, several photographs of it.

A canvas is a square of skin, `(resolution, resolution, 3)` float32 RGB in 0..1, that spans -1.7..1.7 in
both directions with the lesion in its middle. What tells the classes apart follows the textbook
descriptions of dermoscopy: network, globules, streaks and blue-white veil, milia-like cysts, arborising
vessels, scales, central scar, lacunae.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from scipy import ndimage

Array = np.ndarray

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

    def noise(self, cells: float, octaves: int = 3, fading: float = 0.5) -> Array:
        """Return smooth noise with mean 0 and standard deviation 1.

        Args:
            cells: Grains of the coarsest octave along one side.
            octaves: Number of octaves; each has twice the grains of the one before.
            fading: Weight of an octave relative to the one before.
        """
        total = np.zeros_like(self.x)
        for octave in range(octaves):
            size = max(3, min(self.resolution, round(cells * 2**octave) + 2))
            grid = self.rng.standard_normal((size, size)).astype(np.float32)
            layer = Image.fromarray(grid).resize((self.resolution, self.resolution), Image.Resampling.BICUBIC)
            total += fading**octave * np.asarray(layer)
        return (total - total.mean()) / (total.std() + 1e-6)

    def blend(self, colour: tuple[float, float, float] | Array, opacity: Array) -> None:
        """Lay a colour over the canvas with an opacity `(resolution, resolution)` in 0..1."""
        alpha = np.clip(opacity, 0.0, 1.0)[..., None]
        self.colour = self.colour * (1 - alpha) + np.asarray(colour, dtype=np.float32) * alpha

    def darken(self, amount: Array, tint: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> None:
        """Absorb light: `amount` 0..1, weighted for each channel by `tint`."""
        self.colour = self.colour * (
            1 - np.clip(amount, 0, 1)[..., None] * np.asarray(tint, dtype=np.float32)
        )

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
        soft = 3.4 / self.resolution
        for _ in range(count):
            angle, distance = self.rng.uniform(0, 2 * np.pi), spread * np.sqrt(self.rng.random())
            cx, cy = distance * np.cos(angle), distance * np.sin(angle)
            radius = self.rng.uniform(*size)
            if within is not None and within[self._pixel(cy), self._pixel(cx)] < 0.5:
                continue
            rows, columns = self._window(cy, radius + 4 * soft), self._window(cx, radius + 4 * soft)
            stretch = self.rng.uniform(0.75, 1.3)
            away = np.hypot((self.x[rows, columns] - cx) * stretch, (self.y[rows, columns] - cy) / stretch)
            covered[rows, columns] = np.maximum(covered[rows, columns], _step((radius - away) / soft))
        return covered

    def strokes(self, paths: list[tuple[Array, Array, float]]) -> Array:
        """Return the coverage of curves.

        Args:
            paths: For each curve its x and y coordinates and its width.
        """
        from PIL import ImageDraw

        factor = 2
        image = Image.new("L", (self.resolution * factor, self.resolution * factor))
        draw = ImageDraw.Draw(image)
        scale = self.resolution * factor / (2 * EXTENT)
        for px, py, width in paths:
            points = [((u + EXTENT) * scale, (v + EXTENT) * scale) for u, v in zip(px, py, strict=True)]
            draw.line(points, fill=255, width=max(1, round(width * scale)), joint="curve")
        small = image.resize((self.resolution, self.resolution), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32) / 255

    def _pixel(self, value: float) -> int:
        return int(
            np.clip(round((value + EXTENT) / (2 * EXTENT) * (self.resolution - 1)), 0, self.resolution - 1)
        )

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


def outline(canvas: Canvas, *, irregular: float, elongated: float, soft: float, radius: float) -> Outline:
    """Draw the outline of a lesion.

    Args:
        canvas: Where.
        irregular: Size of notches and bulges relative to the radius.
        elongated: Ratio of the axes.
        soft: Width of the border relative to the radius.
        radius: Mean radius in canvas units.
    """
    rng = canvas.rng
    turn = rng.uniform(0, np.pi)
    u = np.cos(turn) * canvas.x + np.sin(turn) * canvas.y
    v = -np.sin(turn) * canvas.x + np.cos(turn) * canvas.y
    u, v = u / np.sqrt(elongated), v * np.sqrt(elongated)
    angle = np.arctan2(v, u)
    edge = np.ones_like(u)
    for order in range(2, 9):
        edge += irregular / order**0.7 * rng.normal() * np.cos(order * angle + rng.uniform(0, 2 * np.pi))
    edge += 0.35 * irregular * canvas.noise(9, 3)
    depth = 1 - np.hypot(u, v) / (radius * np.clip(edge, 0.35, 1.7))
    return Outline(depth.astype(np.float32), _step(depth / soft * 2), angle, radius)


def paint_lesion(label: str, rng: np.random.Generator, *, resolution: int) -> Array:
    """Paint a lesion of a class on its skin.

    Args:
        label: One of the seven classes.
        rng: Source of everything random.
        resolution: Height and width of the canvas in pixels.

    Returns:
        float32 RGB in 0..1 of shape `(resolution, resolution, 3)`.
    """
    canvas = Canvas(rng, resolution)
    _paint_skin(canvas)
    _PAINTERS[label](canvas)
    return np.clip(canvas.colour, 0, 1)


def photograph(canvas: Array, rng: np.random.Generator, *, width: int, height: int) -> Array:
    """Take a picture of a canvas: another turn, distance, light, hair and lens each time.

    Args:
        canvas: What `paint_lesion` returned.
        rng: Source of everything random.
        width: Width of the picture in pixels.
        height: Its height.

    Returns:
        uint8 RGB of shape `(height, width, 3)`.
    """
    factor = 2
    wide, high = width * factor, height * factor
    resolution = canvas.shape[0]
    zoom = rng.uniform(0.8, 1.12)
    turn = rng.uniform(0, 2 * np.pi)
    mirror = rng.choice([-1.0, 1.0])
    per_pixel = resolution / (2 * EXTENT) * 2 * zoom / high
    cos, sin = np.cos(turn) * per_pixel, np.sin(turn) * per_pixel
    shift = rng.normal(0, 0.07, size=2) * resolution / (2 * EXTENT)
    middle = np.array([resolution / 2, resolution / 2]) + shift
    matrix = (
        mirror * cos,
        -sin,
        middle[0] - mirror * cos * wide / 2 + sin * high / 2,
        mirror * sin,
        cos,
        middle[1] - mirror * sin * wide / 2 - cos * high / 2,
    )
    reach = resolution // 2
    padded = np.pad(canvas, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    matrix = (*matrix[:2], matrix[2] + reach, *matrix[3:5], matrix[5] + reach)
    picture = np.asarray(
        Image.fromarray((padded * 255).round().astype(np.uint8)).transform(
            (wide, high), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR
        ),
        dtype=np.float32,
    )
    picture /= 255
    picture = _with_hair(picture, rng)
    x, y = np.meshgrid(
        np.linspace(-wide / high, wide / high, wide, dtype=np.float32),
        np.linspace(-1, 1, high, dtype=np.float32),
    )
    picture *= _light(x, y, rng)[..., None]
    picture *= rng.normal(1, 0.035, size=3).astype(np.float32)
    if rng.random() < 0.25:
        picture = _with_glare(picture, x, y, rng)
    if rng.random() < 0.3:
        edge = rng.uniform(1.12, 1.5)
        picture *= _step((edge - np.hypot(x - rng.normal(0, 0.04), y)) / 0.02)[..., None] * 0.96 + 0.04
    small = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BOX
    )
    grain = rng.normal(0, rng.uniform(1.0, 3.0), size=(height, width, 1))
    return np.clip(np.asarray(small, dtype=np.float32) + grain, 0, 255).astype(np.uint8)


def _paint_skin(canvas: Canvas) -> None:
    rng = canvas.rng
    pale, tan = np.array([0.90, 0.73, 0.68]), np.array([0.77, 0.57, 0.46])
    canvas.colour[:] = pale + (tan - pale) * rng.beta(1.6, 2.2) + rng.normal(0, 0.02, size=3)
    canvas.darken(0.035 * canvas.noise(3, 4, 0.6), (0.5, 1.0, 1.0))
    canvas.darken(0.02 * canvas.noise(60, 2, 0.8))
    furrows = np.exp(-((canvas.noise(16, 2) / 0.16) ** 2))
    canvas.darken(0.05 * rng.random() * furrows, (0.7, 1.0, 1.0))
    if rng.random() < 0.5:
        vessels = _branches(canvas, int(rng.integers(2, 6)), spread=1.6, width=0.02, length=0.9)
        canvas.darken(0.12 * vessels, (0.15, 1.0, 0.8))


def _paint_nevus(canvas: Canvas) -> None:
    rng = canvas.rng
    atypical = rng.random() < 0.18
    shape = outline(
        canvas,
        irregular=rng.uniform(0.06, 0.12) if atypical else rng.uniform(0.01, 0.06),
        elongated=rng.uniform(1.0, 1.45),
        soft=rng.uniform(0.18, 0.5),
        radius=rng.uniform(0.38, 0.78),
    )
    light, dark = np.array([0.66, 0.43, 0.29]), np.array([0.33, 0.19, 0.13])
    brown = light + (dark - light) * rng.beta(1.7, 2.0) + rng.normal(0, 0.02, size=3)
    canvas.blend(brown, shape.mask * np.clip(0.72 + 0.08 * canvas.noise(6), 0.4, 0.95))
    middle = _step((shape.depth - rng.uniform(0.2, 0.5)) * 5)
    canvas.darken(rng.uniform(-0.12, 0.3) * middle * shape.mask, (0.8, 1, 1))
    pattern = rng.random()
    if pattern < 0.55:
        _network(canvas, shape, rng.uniform(0.15, 0.32), cells=rng.uniform(18, 26))
    elif pattern < 0.85:
        globules = canvas.spots(90, (0.018, 0.04), shape.radius * 1.1, shape.mask)
        canvas.darken(0.3 * globules * shape.mask, (0.85, 1, 1))
    if atypical:
        canvas.darken(0.25 * _step(canvas.noise(3) * 2 - 1) * shape.mask, (0.8, 1, 1))


def _paint_melanoma(canvas: Canvas) -> None:
    rng = canvas.rng
    subtle = rng.random() < 0.25
    strength = 0.45 if subtle else 1.0
    shape = outline(
        canvas,
        irregular=rng.uniform(0.08, 0.2) * (0.7 if subtle else 1),
        elongated=rng.uniform(1.1, 1.7),
        soft=rng.uniform(0.08, 0.3),
        radius=rng.uniform(0.6, 0.98),
    )
    brown = np.array([0.52, 0.32, 0.22]) + rng.normal(0, 0.05, size=3)
    canvas.blend(brown, shape.mask * np.clip(0.82 + 0.12 * canvas.noise(5), 0, 1))
    direction = rng.uniform(0, 2 * np.pi)
    sided = np.cos(shape.angle - direction) * np.clip(1 - shape.depth, 0, 1)
    darker = _step((canvas.noise(2.5, 4, 0.6) + 1.1 * sided - 0.1) * 2.5)
    canvas.blend((0.15, 0.09, 0.08), strength * rng.uniform(0.6, 0.92) * darker * shape.mask)
    _network(canvas, shape, rng.uniform(0.1, 0.35), cells=rng.uniform(11, 17), broken=True)
    if rng.random() < 0.75:
        veil = _step((canvas.noise(2.5, 3) - 0.7 * sided - 0.6) * 3) * _step(shape.depth * 6 - 1)
        canvas.blend((0.42, 0.46, 0.58), 0.75 * strength * veil * shape.mask)
    if rng.random() < 0.45:
        regression = _step((canvas.noise(3, 3) - 1.0) * 4)
        canvas.blend((0.88, 0.72, 0.70), 0.7 * strength * regression * shape.mask)
    if rng.random() < 0.4:
        canvas.blend((0.66, 0.27, 0.25), 0.5 * strength * _step((canvas.noise(3, 2) - 0.9) * 4) * shape.mask)
    if rng.random() < 0.6:
        canvas.darken(0.7 * _streaks(canvas, shape, direction), (0.85, 1, 1))
    dots = canvas.spots(40, (0.012, 0.045), shape.radius * 1.15, shape.mask)
    canvas.darken(0.55 * strength * dots, (0.9, 1, 1))


def _paint_keratosis(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = outline(
        canvas,
        irregular=rng.uniform(0.03, 0.1),
        elongated=rng.uniform(1.0, 1.6),
        soft=rng.uniform(0.04, 0.14),
        radius=rng.uniform(0.5, 0.92),
    )
    tones = np.array([[0.72, 0.55, 0.36], [0.60, 0.50, 0.44], [0.50, 0.35, 0.24]])
    tone = rng.dirichlet([1.2, 1.0, 0.9]) @ tones + rng.normal(0, 0.02, size=3)
    canvas.blend(tone, shape.mask * np.clip(0.78 + 0.1 * canvas.noise(8, 3), 0.3, 0.95))
    if rng.random() < 0.55:
        fissures = np.exp(-((canvas.noise(rng.uniform(6, 10), 2) / 0.2) ** 2))
        canvas.darken(0.42 * fissures * shape.mask, (0.8, 1, 1.1))
    else:
        prints = np.sin(rng.uniform(24, 36) * (canvas.x + 0.12 * canvas.noise(4)) + canvas.noise(3))
        canvas.darken(0.12 * (prints > 0.2) * shape.mask, (0.7, 1, 1))
    openings = canvas.spots(int(rng.integers(6, 22)), (0.025, 0.06), shape.radius, shape.mask)
    canvas.blend((0.27, 0.18, 0.11), 0.75 * openings * shape.mask)
    cysts = canvas.spots(int(rng.integers(6, 22)), (0.02, 0.05), shape.radius, shape.mask)
    canvas.blend(
        (0.95, 0.89, 0.78), 0.85 * ndimage.gaussian_filter(cysts, canvas.resolution / 200) * shape.mask
    )


def _paint_basal_cell_carcinoma(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = outline(
        canvas,
        irregular=rng.uniform(0.05, 0.13),
        elongated=rng.uniform(1.0, 1.5),
        soft=rng.uniform(0.2, 0.45),
        radius=rng.uniform(0.5, 0.85),
    )
    pink = np.array([0.86, 0.60, 0.57]) + rng.normal(0, 0.03, size=3)
    canvas.blend(pink, shape.mask * np.clip(0.68 + 0.14 * canvas.noise(5), 0, 0.95))
    canvas.blend((0.95, 0.84, 0.80), 0.5 * _step((canvas.noise(3, 2) - 0.6) * 3) * shape.mask)
    nests = canvas.spots(int(rng.integers(3, 14)), (0.05, 0.13), shape.radius, shape.mask)
    nests = ndimage.gaussian_filter(nests, canvas.resolution / 130)
    canvas.blend((0.37, 0.38, 0.46), rng.uniform(0.35, 0.85) * nests * shape.mask)
    vessels = _branches(canvas, int(rng.integers(3, 8)), spread=shape.radius, width=0.045, length=0.75)
    canvas.blend((0.70, 0.16, 0.18), rng.uniform(0.55, 0.9) * vessels * _step(shape.depth * 6 + 1.5))
    if rng.random() < 0.4:
        sore = canvas.spots(2, (0.1, 0.22), shape.radius * 0.5)
        canvas.blend((0.48, 0.15, 0.10), 0.8 * sore * np.clip(0.8 + 0.3 * canvas.noise(18), 0, 1))


def _paint_actinic_keratosis(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = outline(
        canvas,
        irregular=rng.uniform(0.07, 0.16),
        elongated=rng.uniform(1.0, 1.6),
        soft=rng.uniform(0.35, 0.8),
        radius=rng.uniform(0.6, 1.0),
    )
    red = np.array([0.82, 0.47, 0.43]) + rng.normal(0, 0.03, size=3)
    canvas.blend(red, shape.mask * np.clip(0.6 + 0.16 * canvas.noise(7), 0, 0.9))
    if rng.random() < 0.35:
        canvas.blend((0.55, 0.38, 0.29), 0.5 * _step((canvas.noise(4) - 0.2) * 2) * shape.mask)
    follicles = canvas.spots(60, (0.025, 0.045), shape.radius * 1.1, shape.mask)
    canvas.blend((0.93, 0.82, 0.71), 0.55 * follicles * shape.mask)
    dotted = canvas.spots(110, (0.010, 0.02), shape.radius * 1.05, shape.mask)
    canvas.blend((0.66, 0.18, 0.2), 0.65 * dotted)
    scales = _step((canvas.noise(11, 3, 0.7) - rng.uniform(0.7, 1.2)) * 5)
    canvas.blend((0.95, 0.91, 0.82), 0.85 * scales * shape.mask)


def _paint_dermatofibroma(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = outline(
        canvas,
        irregular=rng.uniform(0.02, 0.06),
        elongated=rng.uniform(1.0, 1.25),
        soft=rng.uniform(0.35, 0.7),
        radius=rng.uniform(0.5, 0.82),
    )
    tan = np.array([0.69, 0.47, 0.37]) + rng.normal(0, 0.025, size=3)
    canvas.blend(tan, shape.mask * np.clip(0.7 + 0.06 * canvas.noise(4), 0, 0.9))
    _network(canvas, shape, rng.uniform(0.1, 0.2), cells=rng.uniform(20, 28))
    scar = _step((shape.depth - rng.uniform(0.42, 0.62) + 0.06 * canvas.noise(5)) * 9)
    scar_colour = np.array([0.93, 0.82, 0.79]) if rng.random() < 0.75 else np.array([0.86, 0.61, 0.58])
    canvas.blend(scar_colour, rng.uniform(0.65, 0.9) * scar)
    lines = np.exp(-((canvas.noise(8, 1) / 0.1) ** 2))
    canvas.blend((0.98, 0.93, 0.91), 0.4 * lines * scar)


def _paint_vascular(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = outline(
        canvas,
        irregular=rng.uniform(0.02, 0.08),
        elongated=rng.uniform(1.0, 1.35),
        soft=rng.uniform(0.06, 0.16),
        radius=rng.uniform(0.4, 0.75),
    )
    tones = np.array([[0.72, 0.16, 0.18], [0.50, 0.12, 0.22], [0.32, 0.14, 0.26]])
    tone = rng.dirichlet([1.6, 1.0, 0.5]) @ tones + rng.normal(0, 0.02, size=3)
    canvas.blend((0.82, 0.50, 0.49), 0.45 * _step(shape.depth * 5 + 1.2))
    canvas.blend(tone * 0.5 + np.array([0.82, 0.50, 0.48]) * 0.5, 0.85 * shape.mask)
    lacunae = canvas.spots(int(rng.integers(18, 45)), (0.07, 0.17), shape.radius * 0.95, shape.mask)
    canvas.blend(tone, 0.9 * ndimage.gaussian_filter(lacunae, canvas.resolution / 220) * shape.mask)
    canvas.darken(0.3 * _step(canvas.noise(5, 2) * 2 - 1) * shape.mask, (0.7, 1, 0.8))
    if rng.random() < 0.3:
        canvas.blend((0.16, 0.07, 0.12), 0.8 * _step((canvas.noise(3, 2) - 0.8) * 5) * shape.mask)


_PAINTERS = {
    "akiec": _paint_actinic_keratosis,
    "bcc": _paint_basal_cell_carcinoma,
    "bkl": _paint_keratosis,
    "df": _paint_dermatofibroma,
    "mel": _paint_melanoma,
    "nv": _paint_nevus,
    "vasc": _paint_vascular,
}


def _network(canvas: Canvas, shape: Outline, strength: float, *, cells: float, broken: bool = False) -> None:
    field = canvas.noise(cells, 1)
    lines = np.exp(-((field / 0.32) ** 2))
    if broken:
        lines = lines * _step(canvas.noise(4) * 2.5)
    fading = _step((0.75 - shape.depth) * 5) if not broken else 1.0
    canvas.darken(strength * lines * shape.mask * fading, (0.85, 1, 1))


def _branches(canvas: Canvas, count: int, *, spread: float, width: float, length: float) -> Array:
    rng = canvas.rng
    paths: list[tuple[Array, Array, float]] = []

    def grow(x: float, y: float, heading: float, reach: float, thick: float, depth: int) -> None:
        steps = 14
        turns = heading + np.cumsum(rng.normal(0, 0.22, steps))
        px, py = x + np.cumsum(np.cos(turns)) * reach / steps, y + np.cumsum(np.sin(turns)) * reach / steps
        paths.append((np.r_[x, px], np.r_[y, py], thick))
        if depth:
            for _ in range(rng.integers(1, 4)):
                at = rng.integers(3, steps)
                side = turns[at] + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
                grow(px[at], py[at], side, reach * 0.55, thick * 0.6, depth - 1)

    for _ in range(count):
        place = rng.uniform(0, 2 * np.pi)
        x, y = spread * np.cos(place), spread * np.sin(place)
        grow(x, y, place + np.pi + rng.normal(0, 0.6), length * rng.uniform(0.6, 1.2), width, 2)
    return canvas.strokes(paths)


def _streaks(canvas: Canvas, shape: Outline, direction: float) -> Array:
    rng = canvas.rng
    paths = []
    for _ in range(rng.integers(10, 22)):
        angle = direction + rng.normal(0, 0.6)
        inner, outer = shape.radius * rng.uniform(0.75, 0.95), shape.radius * rng.uniform(1.08, 1.3)
        reach = np.linspace(inner, outer, 6)
        bend = angle + np.linspace(0, rng.normal(0, 0.08), 6)
        paths.append((reach * np.cos(bend), reach * np.sin(bend), rng.uniform(0.02, 0.045)))
    return canvas.strokes(paths)


def _with_hair(picture: Array, rng: np.random.Generator) -> Array:
    kind = rng.random()
    count = 0 if kind < 0.45 else rng.integers(1, 7) if kind < 0.85 else rng.integers(8, 22)
    if not count:
        return picture
    from PIL import ImageDraw

    high, wide = picture.shape[:2]
    image = Image.new("L", (wide, high))
    draw = ImageDraw.Draw(image)
    lie = rng.uniform(0, np.pi)
    for _ in range(count):
        heading = lie + rng.normal(0, 0.35)
        start = rng.uniform([-0.1 * wide, -0.1 * high], [1.1 * wide, 1.1 * high])
        steps = rng.uniform(0.25, 1.0) * high / 12
        turns = heading + np.cumsum(rng.normal(0, 0.03, 12)) + np.linspace(0, rng.normal(0, 0.5), 12)
        xs, ys = start[0] + np.cumsum(np.cos(turns)) * steps, start[1] + np.cumsum(np.sin(turns)) * steps
        draw.line(
            list(zip(xs, ys, strict=True)), fill=int(rng.uniform(130, 235)), width=max(1, round(high / 110))
        )
    alpha = ndimage.gaussian_filter(np.asarray(image, dtype=np.float32) / 255, 0.6)[..., None]
    tone = np.array([0.16, 0.10, 0.08]) if rng.random() < 0.8 else np.array([0.75, 0.62, 0.45])
    return picture * (1 - alpha) + tone.astype(np.float32) * alpha


def _light(x: Array, y: Array, rng: np.random.Generator) -> Array:
    fall = rng.uniform(0.03, 0.2)
    slope, heading = rng.uniform(0, 0.07), rng.uniform(0, 2 * np.pi)
    tilt = slope * (np.cos(heading) * x + np.sin(heading) * y)
    return (rng.normal(1.02, 0.06) * (1 - fall * (x**2 + y**2) / 2.2 + tilt)).astype(np.float32)


def _with_glare(picture: Array, x: Array, y: Array, rng: np.random.Generator) -> Array:
    for _ in range(rng.integers(1, 4)):
        cx, cy, size = rng.uniform(-1.1, 1.1), rng.uniform(-0.9, 0.9), rng.uniform(0.015, 0.05)
        shine = np.exp(-(((x - cx) ** 2 + (y - cy) ** 2) / size**2))[..., None]
        picture = picture + (1 - picture) * 0.85 * shine
    return picture


def _step(value: Array | float) -> Array:
    return np.asarray(1 / (1 + np.exp(-2 * np.clip(value, -30, 30))), dtype=np.float32)
