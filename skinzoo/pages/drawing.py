"""The look of all figures, and figures as SVG for pages."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2a37"
MUTED = "#6b7280"
LINE = "#e5e7eb"
BAR = "#2a6f97"
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#b8a800", "#555555")
"""Okabe and Ito's colours, which colour-blind readers can tell apart; the yellow is darkened for white."""

STYLE: dict[Any, Any] = {
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "xtick.labelcolor": INK,
    "axes.grid": False,
    "svg.hashsalt": "skinzoo",
}
WIDTH = 4.7
"""Inches, of which a page shows two beside each other."""


@dataclass(frozen=True)
class Plot:
    """One figure of a page.

    Args:
        title: What it shows.
        image: `data:` address of the picture.
        alt: The same in words, with the numbers that matter.
        note: A sentence under the title; empty where none is needed.
        wide: Whether it needs the whole width of the page.
    """

    title: str
    image: str
    alt: str
    note: str = ""
    wide: bool = False


@contextmanager
def style() -> Iterator[None]:
    """Draw in the look of all figures."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def plot(
    title: str, draw: Callable[[Axes], None], *, alt: str, note: str = "", height: float, wide: bool = False
) -> Plot:
    """Draw one pair of axes as a figure of a page.

    Args:
        title: What it shows.
        draw: Draws on the axes.
        alt: The same in words.
        note: A sentence under the title.
        height: Height in inches.
        wide: Whether it needs the whole width of the page.
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.subplots())
        return Plot(title, svg(figure), alt, note, wide)


def svg(figure: Figure) -> str:
    """Return a figure as the `data:` address of an SVG without date or program."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return data_address("image/svg+xml", buffer.getvalue())


def data_address(kind: str, contents: bytes) -> str:
    """Return bytes as a `data:` address."""
    return f"data:{kind};base64," + base64.b64encode(contents).decode("ascii")


def readable(color: str) -> str:
    """Return the colour of text on a coloured ground, given as `#rrggbb`."""
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return "white" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else INK
