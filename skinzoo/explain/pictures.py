"""Explained images as tiles of a page and as PNG files with colour bars and a caption."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from skinzoo.explain.covering import OCCLUSION, SHAP
from skinzoo.explain.maps import ATTENTION, GRADCAM, GRADCAM_PLUS
from skinzoo.explain.of_run import SIGNED, Explained
from skinzoo.explain.overlay import AGAINST, FOR, outlined, overlay, signed_overlay, stops
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
    def range(self) -> str:
        """The values of the first and last colour as text."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:+.2f} to {self.high:+.2f}" if self.signed else f"{self.low:.3g} to {self.high:.3g}"


def panels_of(case: Explained) -> list[Panel]:
    """Return the image and its maps."""
    image = case.pixels if case.mask is None else outlined(case.pixels, case.mask)
    found = [Panel("Image", image, note="white: the lesion's mask" if case.mask is not None else "")]
    for name, map in case.maps.items():
        if name in SIGNED:
            limit = float(np.abs(map).max())
            drawn, low, high = signed_overlay(case.pixels, map), -limit, limit
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
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure

    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    scale = LinearSegmentedColormap.from_list("map", list(stops()))
    against, for_ = ([c / 255 for c in colour] for colour in (AGAINST, FOR))
    signs = LinearSegmentedColormap.from_list("signed", [against, (1, 1, 1), for_])
    with style():
        figure = Figure(
            figsize=(PANEL_INCHES * columns, PANEL_INCHES * 1.28 * rows + 0.45), layout="constrained"
        )
        cells = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for axes in cells:
            axes.set_axis_off()
        for axes, panel in zip(cells, panels, strict=False):
            axes.imshow(panel.pixels, interpolation="nearest")
            axes.set_title(panel.title, fontsize=9, color=INK)
            if panel.low is None or panel.high is None:
                continue
            same = panel.high <= panel.low
            norm = Normalize(panel.low, panel.low + 1.0 if same else panel.high)
            bar = figure.colorbar(
                ScalarMappable(norm, signs if panel.signed else scale),
                ax=axes,
                orientation="horizontal",
                fraction=0.06,
                pad=0.03,
                ticks=[panel.low] if same else [panel.low, panel.high],
            )
            bar.ax.set_xticklabels(
                [f"{v:+.2f}" if panel.signed else f"{v:.3g}" for v in bar.get_ticks()], fontsize=7.5
            )
            bar.ax.tick_params(length=0)
            bar.outline.set_visible(False)
        figure.supxlabel(caption, fontsize=9.5, color=INK)
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, facecolor="white")
    return path


def _agreement(case: Explained, name: str) -> str:
    scores = case.scores.get(name)
    if scores is None or np.isnan(scores.share):
        return ""
    return f"{scores.share:.0%} inside the lesion"


def _jpeg(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return data_address("image/jpeg", buffer.getvalue())
