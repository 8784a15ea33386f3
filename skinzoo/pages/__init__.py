"""Self-contained HTML pages: the frame and style that all reports share, their tables and pictures."""

from skinzoo.pages.drawing import Plot
from skinzoo.pages.page import Grid, Thumbnail, render_page, thumbnail

__all__ = ["Grid", "Plot", "Thumbnail", "render_page", "thumbnail"]
