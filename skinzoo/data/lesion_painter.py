"""Painting the seven classes of the built-in sample.

What tells the classes apart follows the textbook descriptions of dermoscopy: network and globules of nevi;
asymmetry, several colours, streaks and blue-white veil of melanoma; milia-like cysts, comedo-like openings
and fissures of keratoses; arborising vessels and blue-grey nests of basal cell carcinoma; scales and dotted
vessels of actinic keratosis; the pale centre of dermatofibroma; the lacunae of vascular lesions. Each class
has faint and untypical cases, so that none can be told by colour alone.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from skinzoo.data.lesion_canvas import Array, Canvas, Outline, outline, step

LIGHT_BROWN = (0.74, 0.55, 0.40)
DARK_BROWN = (0.52, 0.38, 0.33)
BLACK = (0.30, 0.27, 0.28)
GREY_BROWN = (0.68, 0.61, 0.55)
RED = (0.90, 0.55, 0.54)
BLOOD = (0.75, 0.22, 0.26)
TAN = (0.86, 0.70, 0.44)


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
    PAINTERS[label](canvas)
    return np.clip(canvas.colour, 0, 1)


def _paint_skin(canvas: Canvas) -> None:
    rng = canvas.rng
    pale, tan = np.array([0.91, 0.77, 0.72]), np.array([0.80, 0.61, 0.51])
    canvas.colour[:] = pale + (tan - pale) * rng.beta(1.5, 2.5) + rng.normal(0, 0.02, size=3)
    canvas.stain(RED, rng.uniform(0.02, 0.2) * (canvas.noise(4, 4, 0.65) + 0.6))
    canvas.stain(TAN, rng.uniform(0.03, 0.15) * (canvas.noise(7, 3, 0.7) + 0.3))
    canvas.stain((0.9, 0.9, 0.9), 0.3 * canvas.noise(70, 2, 0.8))
    furrows = np.exp(-((canvas.noise(18, 2) / 0.2) ** 2))
    canvas.stain((0.9, 0.8, 0.78), rng.uniform(0.0, 0.6) * furrows)
    if rng.random() < 0.4:
        vessels = canvas.branches(int(rng.integers(2, 7)), spread=1.6, width=0.02, length=0.9)
        canvas.stain(RED, 0.5 * vessels)
    if rng.random() < 0.35:
        freckles = canvas.spots(int(rng.integers(4, 30)), (0.02, 0.09), 2.2)
        blurred = ndimage.gaussian_filter(freckles, canvas.resolution / 110)
        canvas.stain(LIGHT_BROWN, rng.uniform(0.2, 0.6) * blurred * (1 + 0.5 * canvas.noise(12)))


def _paint_nevus(canvas: Canvas) -> None:
    rng = canvas.rng
    untypical = rng.random() < 0.22
    shape = outline(
        canvas,
        irregular=rng.uniform(0.05, 0.12) if untypical else rng.uniform(0.01, 0.05),
        elongated=rng.uniform(1.0, 1.5),
        border=rng.uniform(0.25, 0.7),
        radius=rng.uniform(0.3, 0.78),
        ragged=rng.uniform(0.03, 0.1),
    )
    amount = rng.uniform(0.7, 1.9) * (1 + 0.18 * canvas.noise(9, 3, 0.7))
    amount = amount * (1 + rng.uniform(-0.25, 0.5) * step((shape.depth - 0.35) * 4))
    canvas.stain(_mixed(rng, LIGHT_BROWN, DARK_BROWN), amount * shape.mask)
    pattern = rng.random()
    if pattern < 0.5:
        _network(canvas, shape, rng.uniform(0.4, 0.8), cells=rng.uniform(26, 38), fading=True)
    elif pattern < 0.8:
        globules = canvas.spots(int(rng.integers(40, 130)), (0.014, 0.035), shape.radius * 1.1, shape.mask)
        canvas.stain(DARK_BROWN, rng.uniform(0.4, 0.9) * globules * shape.mask)
    if untypical:
        canvas.stain(DARK_BROWN, 0.7 * step(canvas.noise(3) * 2 - 0.8) * shape.mask)


def _paint_melanoma(canvas: Canvas) -> None:
    rng = canvas.rng
    strength = rng.uniform(0.25, 0.5) if rng.random() < 0.4 else rng.uniform(0.6, 1.0)
    shape = outline(
        canvas,
        irregular=rng.uniform(0.09, 0.2),
        elongated=rng.uniform(1.1, 1.7),
        border=rng.uniform(0.15, 0.45),
        radius=rng.uniform(0.45, 0.95),
        ragged=rng.uniform(0.08, 0.16),
    )
    amount = rng.uniform(0.8, 1.5) * (1 + 0.4 * canvas.noise(6, 4, 0.7))
    canvas.stain(_mixed(rng, LIGHT_BROWN, DARK_BROWN, RED), amount * shape.mask)
    direction = rng.uniform(0, 2 * np.pi)
    sided = np.cos(shape.angle - direction) * np.clip(1 - shape.depth, 0, 1)
    darker = step((canvas.noise(3, 4, 0.65) + 1.2 * sided - 0.2) * 1.8)
    canvas.stain(BLACK, 1.25 * strength * darker * shape.mask)
    _network(canvas, shape, rng.uniform(0.3, 1.0) * strength, cells=rng.uniform(16, 24))
    if rng.random() < 0.7:
        veil = step((canvas.noise(3, 3) - 0.7 * sided - 0.5) * 2.5) * step(shape.depth * 6 - 1)
        canvas.blend((0.47, 0.49, 0.57), rng.uniform(0.45, 0.8) * strength * veil * shape.mask)
    if rng.random() < 0.45:
        regression = step((canvas.noise(4, 4, 0.65) - 0.9) * 3)
        canvas.blend((0.88, 0.74, 0.72), 0.6 * strength * regression * shape.mask)
    if rng.random() < 0.4:
        canvas.stain(BLOOD, 0.7 * strength * step((canvas.noise(4, 3) - 0.9) * 3) * shape.mask)
    if rng.random() < 0.45:
        canvas.stain(BLACK, 0.8 * strength * _streaks(canvas, shape, direction))
    dots = canvas.spots(int(rng.integers(10, 50)), (0.01, 0.035), shape.radius * 1.15, shape.mask)
    canvas.stain(BLACK, 0.8 * strength * dots)


def _paint_keratosis(canvas: Canvas) -> None:
    rng = canvas.rng
    flat = rng.random() < 0.4
    shape = outline(
        canvas,
        irregular=rng.uniform(0.04, 0.12),
        elongated=rng.uniform(1.0, 1.7),
        border=rng.uniform(0.15, 0.3) if flat else rng.uniform(0.06, 0.16),
        radius=rng.uniform(0.35, 0.92),
        ragged=rng.uniform(0.06, 0.14),
    )
    amount = (rng.uniform(0.5, 1.0) if flat else rng.uniform(0.8, 1.8)) * (
        1 + 0.25 * canvas.noise(10, 4, 0.75)
    )
    canvas.stain(_mixed(rng, GREY_BROWN, TAN, LIGHT_BROWN), amount * shape.mask)
    if flat:
        prints = np.sin(rng.uniform(26, 40) * (canvas.x + 0.12 * canvas.noise(4)) + canvas.noise(5))
        canvas.stain(GREY_BROWN, rng.uniform(0.2, 0.5) * step(prints * 2) * shape.mask)
    elif rng.random() < 0.65:
        fissures = np.exp(-((canvas.noise(rng.uniform(8, 14), 3) / 0.22) ** 2))
        canvas.stain(DARK_BROWN, rng.uniform(0.4, 0.9) * fissures * shape.mask)
    else:
        canvas.blend((0.80, 0.72, 0.62), 0.5 * step((canvas.noise(14, 3, 0.8) - 0.4) * 3) * shape.mask)
    openings = canvas.spots(int(rng.integers(0, 18)), (0.018, 0.045), shape.radius, shape.mask)
    canvas.stain(BLACK, 0.9 * openings * shape.mask)
    cysts = canvas.spots(int(rng.integers(2, 20)), (0.015, 0.04), shape.radius, shape.mask)
    cysts = ndimage.gaussian_filter(cysts, canvas.resolution / 180)
    canvas.blend((0.96, 0.90, 0.80), rng.uniform(0.5, 0.85) * cysts * shape.mask)


def _paint_basal_cell_carcinoma(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = outline(
        canvas,
        irregular=rng.uniform(0.05, 0.14),
        elongated=rng.uniform(1.0, 1.6),
        border=rng.uniform(0.25, 0.6),
        radius=rng.uniform(0.35, 0.85),
        ragged=rng.uniform(0.06, 0.12),
    )
    canvas.stain(RED, rng.uniform(0.3, 0.9) * (1 + 0.4 * canvas.noise(6, 4, 0.7)) * shape.mask)
    canvas.blend((0.95, 0.85, 0.83), 0.45 * step((canvas.noise(5, 3) - 0.5) * 2.5) * shape.mask)
    nests = canvas.spots(int(rng.integers(0, 14)), (0.03, 0.11), shape.radius, shape.mask)
    nests = ndimage.gaussian_filter(nests, canvas.resolution / 110) * (1 + 0.4 * canvas.noise(14))
    canvas.blend((0.36, 0.34, 0.41), rng.uniform(0.3, 0.85) * nests * shape.mask)
    vessels = canvas.branches(
        int(rng.integers(2, 9)), spread=shape.radius, width=rng.uniform(0.018, 0.038), length=0.7
    )
    vessels = ndimage.gaussian_filter(vessels, canvas.resolution / 300)
    canvas.stain(BLOOD, rng.uniform(0.45, 1.0) * vessels * step(shape.depth * 4 + 1.5))
    if rng.random() < 0.4:
        sore = outline(
            canvas, irregular=0.2, elongated=1.3, border=0.4, radius=shape.radius * rng.uniform(0.2, 0.5)
        )
        canvas.stain(BLOOD, rng.uniform(0.7, 1.4) * sore.mask * (1 + 0.5 * canvas.noise(18)))


def _paint_actinic_keratosis(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = outline(
        canvas,
        irregular=rng.uniform(0.07, 0.17),
        elongated=rng.uniform(1.0, 1.7),
        border=rng.uniform(0.4, 0.9),
        radius=rng.uniform(0.5, 1.0),
        ragged=rng.uniform(0.1, 0.18),
    )
    canvas.stain(RED, rng.uniform(0.5, 1.2) * (1 + 0.5 * canvas.noise(9, 4, 0.75)) * shape.mask)
    if rng.random() < 0.5:
        brown = step((canvas.noise(5, 4, 0.7) - 0.1) * 2)
        canvas.stain(LIGHT_BROWN, rng.uniform(0.4, 1.0) * brown * shape.mask)
    follicles = canvas.spots(int(rng.integers(10, 70)), (0.02, 0.04), shape.radius * 1.1, shape.mask)
    follicles = ndimage.gaussian_filter(follicles, canvas.resolution / 180)
    canvas.blend((0.94, 0.84, 0.76), 0.6 * follicles * shape.mask)
    dotted = canvas.spots(int(rng.integers(30, 130)), (0.008, 0.018), shape.radius * 1.05, shape.mask)
    canvas.stain(BLOOD, 0.5 * dotted)
    scales = step((canvas.noise(20, 3, 0.85) - rng.uniform(0.8, 1.6)) * 4) * step(canvas.noise(3) * 2)
    canvas.blend((0.95, 0.92, 0.86), 0.85 * scales * shape.mask)


def _paint_dermatofibroma(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = outline(
        canvas,
        irregular=rng.uniform(0.02, 0.07),
        elongated=rng.uniform(1.0, 1.4),
        border=rng.uniform(0.5, 0.9),
        radius=rng.uniform(0.35, 0.8),
        ragged=rng.uniform(0.04, 0.1),
    )
    amount = rng.uniform(0.6, 1.3) * (1 + 0.25 * canvas.noise(7, 4, 0.7))
    canvas.stain(_mixed(rng, LIGHT_BROWN, GREY_BROWN, RED), amount * shape.mask)
    _network(canvas, shape, rng.uniform(0.2, 0.5), cells=rng.uniform(26, 36), fading=True)
    scar = step((shape.depth - rng.uniform(0.4, 0.6) + 0.08 * canvas.noise(6, 3, 0.7)) * 6)
    pale = (0.93, 0.83, 0.80) if rng.random() < 0.7 else (0.86, 0.64, 0.62)
    canvas.blend(pale, rng.uniform(0.45, 0.85) * scar)
    fibres = np.exp(-((canvas.noise(12, 2) / 0.15) ** 2))
    canvas.blend((0.98, 0.93, 0.91), 0.35 * fibres * scar)


def _paint_vascular(canvas: Canvas) -> None:
    rng = canvas.rng
    shape = outline(
        canvas,
        irregular=rng.uniform(0.03, 0.1),
        elongated=rng.uniform(1.0, 1.4),
        border=rng.uniform(0.1, 0.25),
        radius=rng.uniform(0.25, 0.72),
        ragged=rng.uniform(0.03, 0.08),
    )
    blood = _mixed(rng, BLOOD, (0.62, 0.20, 0.40), (0.42, 0.25, 0.42))
    canvas.stain(RED, 0.6 * step(shape.depth * 3 + 1.2))
    canvas.stain(blood, rng.uniform(0.3, 0.8) * shape.mask * (1 + 0.3 * canvas.noise(6, 3)))
    size = (0.12 * shape.radius, 0.26 * shape.radius)
    lacunae = canvas.spots(int(rng.integers(14, 45)), size, shape.radius * 0.95, shape.mask)
    lacunae = ndimage.gaussian_filter(lacunae, canvas.resolution / 160)
    canvas.stain(blood, rng.uniform(0.6, 1.2) * lacunae * shape.mask)
    if rng.random() < 0.4:
        canvas.stain(BLACK, 1.6 * step((canvas.noise(4, 3) - 0.5) * 3) * shape.mask)
    if rng.random() < 0.3:
        canvas.blend((0.72, 0.70, 0.80), 0.5 * step((canvas.noise(5, 3) - 0.6) * 3) * shape.mask)


PAINTERS = {
    "akiec": _paint_actinic_keratosis,
    "bcc": _paint_basal_cell_carcinoma,
    "bkl": _paint_keratosis,
    "df": _paint_dermatofibroma,
    "mel": _paint_melanoma,
    "nv": _paint_nevus,
    "vasc": _paint_vascular,
}


def _mixed(rng: np.random.Generator, *pigments: tuple[float, float, float]) -> Array:
    shares = rng.dirichlet(np.linspace(1.6, 0.6, len(pigments)))
    return np.clip(np.exp(shares @ np.log(np.array(pigments))) + rng.normal(0, 0.015, 3), 0.05, 1)


def _network(canvas: Canvas, shape: Outline, strength: float, *, cells: float, fading: bool = False) -> None:
    lines = np.exp(-((canvas.noise(cells, 1) / 0.4) ** 2)) * step(canvas.noise(5) * 1.5 + 0.5)
    rim = step((0.8 - shape.depth) * 4) if fading else 1.0
    canvas.stain(DARK_BROWN, strength * lines * shape.mask * rim)


def _streaks(canvas: Canvas, shape: Outline, direction: float) -> Array:
    rng = canvas.rng
    paths = []
    for _ in range(int(rng.integers(8, 20))):
        angle = direction + rng.normal(0, 0.6)
        inner, outer = shape.radius * rng.uniform(0.7, 0.9), shape.radius * rng.uniform(1.0, 1.25)
        reach = np.linspace(inner, outer, 6)
        bend = angle + np.linspace(0, rng.normal(0, 0.08), 6)
        paths.append((reach * np.cos(bend), reach * np.sin(bend), rng.uniform(0.015, 0.035)))
    return ndimage.gaussian_filter(canvas.strokes(paths), canvas.resolution / 250)
