"""Looking at image files before TensorFlow decodes them: what they really are, and whether they can be used.

What is accepted: JPEG (grey, RGB, CMYK), PNG (grey, RGB, palette, with alpha, 8 or 16 bits), GIF and BMP
without a palette. `skinzoo.data.decode` converts all of these to 8-bit RGB. A BMP with a palette or one bit a
pixel is refused, as TensorFlow would take its palette indices for grey levels.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError

from skinzoo.errors import DataError

FORMATS = ("JPEG", "PNG", "BMP", "GIF")
MAX_PIXELS = 80_000_000
"""Above this an image is taken for a decompression bomb; 240 MB decoded."""

ORIENTATION_TAG = 0x0112
CONVERT = "Convert it to an 8-bit RGB JPEG or PNG, or leave such rows out with --skip-bad."
REPLACE = "Replace the file, or leave such rows out with --skip-bad."


class TooManyPixelsError(DataError):
    """An image with more pixels than are accepted."""


@dataclass(frozen=True)
class ImageHeader:
    """What the header of an image file says.

    Args:
        format: `JPEG`, `PNG`, `BMP` or `GIF`, by content rather than by name.
        width: Pixels.
        height: Pixels.
        mode: Pillow's mode: `RGB`, `L`, `CMYK`, `P`, `I;16`, ...
        orientation: EXIF orientation, 1 where none is given. Decoding ignores it.
    """

    format: str
    width: int
    height: int
    mode: str
    orientation: int = 1


def inspect(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Read the header of an image file, and nothing of its pixels.

    Args:
        path: The file; any name, also non-ASCII and with spaces.
        max_pixels: Largest accepted number of pixels.

    Raises:
        DataError: The file cannot be opened, is not one of `FORMATS`, is too large or of a kind that would be
            decoded wrongly. The error names file and remedy.
    """
    try:
        with Path(path).open("rb") as stream:
            return _inspect(stream, f"Image file '{path}'", max_pixels)
    except OSError as error:
        raise _unreadable(path, error) from error


def inspect_bytes(contents: bytes, *, name: str = "", max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Do what `inspect` does for the bytes of a file, such as one that came with a request.

    Args:
        contents: The bytes.
        name: What to call it in errors.
        max_pixels: Largest accepted number of pixels.

    Raises:
        DataError: As `inspect`.
    """
    return _inspect(io.BytesIO(contents), f"Image '{name}'" if name else "An image", max_pixels)


def verify(path: Path | str, *, max_pixels: int = MAX_PIXELS) -> ImageHeader:
    """Read the header and decode all pixels, which is what finds a truncated file.

    Raises:
        DataError: As `inspect`, or the pixels cannot be decoded.
    """
    header = inspect(path, max_pixels=max_pixels)
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise undecodable(path, str(error)) from error
    return header


def problems(paths: Iterable[Path | str], *, max_pixels: int = MAX_PIXELS) -> dict[str, DataError]:
    """Inspect many files; some 30,000 a second, as only headers are read.

    Returns:
        The error of every file that cannot be used, by path.
    """
    found = {}
    for path in dict.fromkeys(str(path) for path in paths):
        try:
            inspect(path, max_pixels=max_pixels)
        except DataError as error:
            found[path] = error
    return found


def undecodable(path: Path | str, reason: str) -> DataError:
    """Return the error for a file whose header is fine and whose pixels are not."""
    cause = (
        "it is truncated"
        if "truncated" in reason.lower()
        else reason.splitlines()[0][:200]
        if reason
        else "unknown"
    )
    return DataError(
        f"Image file '{path}' must be a complete image. Received: pixels that cannot be decoded ({cause}).",
        hint=REPLACE,
    )


def _inspect(stream: IO[bytes], what: str, max_pixels: int) -> ImageHeader:
    start = stream.read(16)
    stream.seek(0)
    if not start:
        raise DataError(f"{what} must be {_formats()}. Received: an empty file.", hint=REPLACE)
    try:
        image = Image.open(stream)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise TooManyPixelsError(
            f"{what} must have at most {max_pixels:,} pixels. Received: {error}",
            hint="Scale it down. " + REPLACE,
        ) from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{what} must be {_formats()}. Received: a file of another kind, beginning with {start!r}.",
            hint=REPLACE,
        ) from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{what} must have a complete header. Received: {error}.", hint=REPLACE) from error
    with image:
        return _checked(image, what, max_pixels)


def _checked(image: Image.Image, what: str, max_pixels: int) -> ImageHeader:
    # Pillow calls a JPEG with several pictures in it MPO; TensorFlow reads its first one.
    kind = "JPEG" if image.format == "MPO" else str(image.format)
    if kind not in FORMATS:
        raise DataError(f"{what} must be {_formats()}. Received: {kind}.", hint=CONVERT)
    width, height = image.size
    if width * height > max_pixels:
        raise TooManyPixelsError(
            f"{what} must have at most {max_pixels:,} pixels. Received: {width:,} x {height:,}.",
            hint="Scale it down. " + REPLACE,
        )
    if kind == "BMP" and image.mode in ("P", "1"):
        raise DataError(f"{what} must be a BMP without a palette. Received: mode {image.mode}.", hint=CONVERT)
    return ImageHeader(kind, width, height, image.mode, _orientation(image))


def _orientation(image: Image.Image) -> int:
    if "exif" not in image.info:
        return 1
    try:
        value = image.getexif().get(ORIENTATION_TAG, 1)
    except (OSError, ValueError, SyntaxError, EOFError, KeyError, TypeError, UserWarning):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _formats() -> str:
    return f"a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file"


def _unreadable(path: Path | str, error: OSError) -> DataError:
    return DataError(
        f"Image file '{path}' must be readable. Received: {error.strerror or error}.",
        hint="Check the path and the permissions, or leave such rows out with --skip-bad.",
    )
