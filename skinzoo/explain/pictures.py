"""Explained images as tiles of a page and as PNG files with colour bars and a caption."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from skinzoo.explain.choices import SIGNED
from skinzoo.explain.covering import OCCLUSION, SHAP
from skinzoo.explain.found import Explained
from skinzoo.explain.maps import ATTENTION, GRADCAM, GRADCAM_PLUS
from skinzoo.explain.overlay import AGAINST, FOR, colors, outlined, overlay, signed_overlay, stops
from skinzoo.files import replacing
from skinzoo.pages import Thumbnail
from skinzoo.pages.drawing import INK, data_address, style

TITLES = {
    ATTENTION: "Attention",
    GRADCAM: "Grad-CAM",
    GRADCAM_PLUS: "Grad-CAM++",
    OCCLUSION: "Occlusion",
    SHAP: "Kernel SHAP",
}
PANEL_INCHES = 2.2
DOTS_PER_INCH = 120
HEADS_IN_ROW = 8
LEAST_LIMIT = 0.05
"""Points of probability of the full colour at least: where no piece matters, none looks as if it did."""
_JPEG_QUALITY = 88


@dataclass(frozen=True)
class Panel:
    """One drawn map.

    Args:
        title: What it shows.
        pixels: uint8 RGB `(s, s, 3)`.
        low: The value of the first colour; None for the image itself.
        high: The value of the last colour.
        signed: Whether the colours are those of a sign.
        note: A remark under it; empty where none is needed.
    """

    title: str
    pixels: np.ndarray
    low: float | None = None
    high: float | None = None
    signed: bool = False
    note: str = ""

    @property
    def ends(self) -> tuple[str, str]:
        """The values of the first and last colour as text; empty for the image itself."""
        if self.low is None or self.high is None:
            return "", ""
        if self.signed:
            return f"{self.low:+.2f}", f"{self.high:+.2f}"
        # What is nothing beside the greatest value is not worth its digits.
        low = 0.0 if abs(self.low) < 1e-3 * abs(self.high) else self.low
        return f"{low:.3g}", f"{self.high:.3g}"

    @property
    def range(self) -> str:
        """Both in one text."""
        return " to ".join(end for end in self.ends if end)


def panels_of(case: Explained) -> list[Panel]:
    """Return the image and its maps."""
    image = case.pixels if case.mask is None else outlined(case.pixels, case.mask)
    found = [Panel("Image", image, note="white: the lesion's mask" if case.mask is not None else "")]
    for name, map in case.maps.items():
        if name in SIGNED:
            limit = max(float(np.abs(map).max()), LEAST_LIMIT)
            drawn, low, high = signed_overlay(case.pixels, map, limit=limit), -limit, limit
        else:
            drawn, low, high = overlay(case.pixels, map), float(map.min()), float(map.max())
        title = TITLES[name]
        if name == ATTENTION and case.heads is not None:
            title += f", sum of {case.heads.shape[-1]} heads"
        if case.mask is not None:
            drawn = outlined(drawn, case.mask)
        found.append(Panel(title, drawn, low, high, name in SIGNED, _agreement(case, name)))
    return found


def head_panels(case: Explained) -> list[Panel]:
    """Return the map of each head, each on its own scale."""
    if case.heads is None:
        return []
    found = []
    for i in range(case.heads.shape[-1]):
        map = case.heads[..., i]
        drawn = overlay(case.pixels, map)
        found.append(Panel(f"Head {i + 1}", drawn, float(map.min()), float(map.max())))
    return found


def tile(panel: Panel, case: Explained) -> Thumbnail:
    """Return a panel for a page."""
    words = [panel.title, panel.range, panel.note]
    return Thumbnail(
        _jpeg(panel.pixels),
        f"{panel.title} of {case.image_id}, {case.caption}" + (f", {panel.range}" if panel.range else ""),
        " · ".join(word for word in words if word),
    )


def save_case(case: Explained, folder: Path) -> list[Path]:
    """Write a case's maps beside each other, and its heads, as PNG files.

    Args:
        case: The case.
        folder: Folder of the files.

    Returns:
        The files.
    """
    caption = f"{case.image_id}: {case.caption}"
    base = "".join(c if c.isalnum() or c in "-_." else "_" for c in case.image_id)
    panels = panels_of(case)
    written = [_save(panels, caption, folder / f"{base}.png", len(panels))]
    heads = head_panels(case)
    if heads:
        written.append(_save(heads, f"{caption}; each head", folder / f"{base}-heads.png", HEADS_IN_ROW))
    return written


def gradient(*, signed: bool) -> str:
    """Return the colours from least to greatest as a CSS gradient."""
    if signed:
        against, for_ = (f"rgb{colour}" for colour in (AGAINST, FOR))
        return f"linear-gradient(to right, {against}, #fff, {for_})"
    return f"linear-gradient(to right, {', '.join(stops())})"


def _save(panels: list[Panel], caption: str, path: Path, columns: int) -> Path:
    from matplotlib.figure import Figure

    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    ramp = np.linspace(0.0, 1.0, 256)[None]
    with style():
        figure = Figure(
            figsize=(PANEL_INCHES * columns, PANEL_INCHES * 1.25 * rows + 0.4), layout="constrained"
        )
        # A bar under each panel, so that panels with and without one are of the same size.
        cells = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=[1.0, 0.045] * rows)
        for axes in cells.ravel():
            axes.set_axis_off()
        for place, panel in enumerate(panels):
            row, column = divmod(place, columns)
            axes, bar = cells[2 * row, column], cells[2 * row + 1, column]
            axes.imshow(panel.pixels, interpolation="nearest")
            axes.set_title(panel.title, fontsize=9, color=INK)
            if panel.low is None or panel.high is None:
                bar.text(
                    0.5, 0.5, panel.note, ha="center", va="center", fontsize=7.5, transform=bar.transAxes
                )
                continue
            bar.set_axis_on()
            bar.imshow(_bar_colors(ramp, signed=panel.signed), aspect="auto", extent=(0, 1, 0, 1))
            bar.set_yticks([])
            low, high = panel.ends
            bar.set_xticks([0, 1], [low, high], fontsize=7.5)
            bar.tick_params(length=0)
            bar.get_xticklabels()[0].set_horizontalalignment("left")
            bar.get_xticklabels()[1].set_horizontalalignment("right")
            bar.set_xlabel(panel.note, fontsize=7.5, labelpad=-7)
            for spine in bar.spines.values():
                spine.set_visible(False)
        figure.supxlabel(caption, fontsize=9.5, color=INK)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    return path


def _bar_colors(ramp: np.ndarray, *, signed: bool) -> np.ndarray:
    if not signed:
        return colors(ramp)
    strength = np.abs(2.0 * ramp - 1.0)[..., None]
    ink = np.where((ramp > 0.5)[..., None], FOR, AGAINST)
    return np.rint((1.0 - strength) * 255.0 + strength * ink).astype(np.uint8)


def _agreement(case: Explained, name: str) -> str:
    scores = case.scores.get(name)
    if scores is None or np.isnan(scores.share):
        return ""
    return f"{scores.share:.0%} inside the lesion"


def _jpeg(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return data_address("image/jpeg", buffer.getvalue())
