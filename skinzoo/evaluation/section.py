"""A section of the report of an evaluation."""

from __future__ import annotations

from dataclasses import dataclass

from skinzoo.evaluation.figures import Picture
from skinzoo.pages import Grid, Thumbnail


@dataclass(frozen=True)
class Section:
    """A section of the report.

    Args:
        title: Heading.
        text: A sentence under it; empty where none is needed.
        pictures: Figures.
        grids: Tables.
        galleries: Titles and photos.
    """

    title: str
    text: str = ""
    pictures: tuple[Picture, ...] = ()
    grids: tuple[Grid, ...] = ()
    galleries: tuple[tuple[str, tuple[Thumbnail, ...]], ...] = ()
