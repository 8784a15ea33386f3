"""Rendering a page from a template of a package, in the frame that all pages share."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinzoo.pages.drawing import data_address

THUMBNAIL_WIDTH = 168


@dataclass(frozen=True)
class Grid:
    """A table of a page.

    Args:
        title: Caption.
        columns: Column titles; the first column names the row.
        rows: Cells.
        note: A sentence under the caption; empty where none is needed.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Thumbnail:
    """A small photo of a page.

    Args:
        image: `data:` address of a JPEG.
        alt: What it is.
        caption: What stands under it.
    """

    image: str
    alt: str
    caption: str


def render_page(package: str, template: str, **values: Any) -> str:
    """Return a page as HTML.

    Args:
        package: Package whose folder `templates` holds the template.
        template: File name of the template, which extends `page.html.j2`.
        **values: What the template shows; an undefined name is an error.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("skinzoo.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def thumbnail(path: Path, alt: str, caption: str) -> Thumbnail:
    """Return an image file as a small photo.

    Args:
        path: The image file.
        alt: What it is.
        caption: What stands under it.

    Raises:
        OSError: The file is missing or no image.
    """
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        image.draft("RGB", (2 * THUMBNAIL_WIDTH, 2 * THUMBNAIL_WIDTH))
        picture = ImageOps.contain(image.convert("RGB"), (THUMBNAIL_WIDTH, THUMBNAIL_WIDTH))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return Thumbnail(data_address("image/jpeg", buffer.getvalue()), alt, caption)
