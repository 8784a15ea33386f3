"""One pass over image files: what they are, whether they decode, and a small grey picture of each.

The pass reads every byte, so it finds what a look at the header misses. Its results are kept under
`skinzoo.home.cache_folder()` and used again for files whose size and time of change are the same.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from skinzoo.data.images import inspect_bytes, undecodable
from skinzoo.errors import DataError
from skinzoo.files import replacing
from skinzoo.home import cache_folder

THUMBNAIL_SIZE = 96
"""Height and width of the small pictures: enough for frequencies up to 44 cycles an image."""

SCAN_VERSION = 1
"""Raised whenever a scan of the same file gives another result, so that older caches are not used."""

_FIELDS = ("digests", "widths", "heights", "modes", "orientations", "errors", "thumbnails")


@dataclass(frozen=True)
class Scan:
    """What a pass over `n` files found; index i belongs to the i-th path.

    Args:
        digests: sha256 of the file's bytes, hexadecimal; empty where it cannot be opened. Shape `(n,)`.
        widths: Pixels; 0 where unreadable. Shape `(n,)`.
        heights: Pixels; 0 where unreadable. Shape `(n,)`.
        modes: Pillow's mode. Shape `(n,)`.
        orientations: EXIF orientation. Shape `(n,)`.
        errors: Why the file cannot be used; empty where it can. Shape `(n,)`.
        thumbnails: uint8 grey levels, the whole image squashed. Shape
            `(n, THUMBNAIL_SIZE, THUMBNAIL_SIZE)`.
    """

    digests: np.ndarray
    widths: np.ndarray
    heights: np.ndarray
    modes: np.ndarray
    orientations: np.ndarray
    errors: np.ndarray
    thumbnails: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """Boolean array of shape `(n,)`: the files that decode."""
        return self.errors == ""


def scan_images(
    paths: Sequence[str], *, progress: Callable[[int, int], None] | None = None, cached: bool = True
) -> Scan:
    """Read and decode image files with all cores; a file that cannot be used is noted, not raised.

    Args:
        paths: The files.
        progress: Called with the numbers of files done and of all files.
        cached: Whether results of an earlier pass may be used, and this one's kept.
    """
    stamps = np.array([_stamp(path) for path in paths], dtype=np.int64).reshape(-1, 2)
    store = cache_folder() / "audit" / f"{_key(paths)}.npz"
    scan, current = _load(store, stamps) if cached else (None, np.zeros(len(paths), bool))
    if scan is None:
        scan = _empty(len(paths))
    todo = [int(i) for i in np.flatnonzero(~current)]
    done = len(paths) - len(todo)
    if progress is not None and not todo:
        progress(done, len(paths))
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        results = pool.map(_scan_one, (paths[i] for i in todo))
        for i, result in zip(todo, results, strict=True):
            for field, value in zip(_FIELDS, result, strict=True):
                getattr(scan, field)[i] = value
            done += 1
            if progress is not None and (done % 50 == 0 or done == len(paths)):
                progress(done, len(paths))
    if cached and todo:
        _save(store, scan, stamps)
    return scan


def _scan_one(path: str) -> tuple[str, int, int, str, int, str, np.ndarray]:
    thumbnail = np.zeros((THUMBNAIL_SIZE, THUMBNAIL_SIZE), np.uint8)
    try:
        contents = Path(path).read_bytes()
    except OSError as error:
        return "", 0, 0, "", 1, f"The file must be readable. Received: {error.strerror or error}.", thumbnail
    digest = hashlib.sha256(contents).hexdigest()
    try:
        header = inspect_bytes(contents, name=Path(path).name)
    except DataError as error:
        return digest, 0, 0, "", 1, error.message, thumbnail
    found = digest, header.width, header.height, header.mode, header.orientation
    try:
        return *found, "", _thumbnail(contents)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        return *found, undecodable(Path(path).name, str(error)).message, thumbnail


def _thumbnail(contents: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(contents)) as image:
        # Lets libjpeg scale while it decodes; every byte is still read, so truncation is still found.
        image.draft("L", (2 * THUMBNAIL_SIZE, 2 * THUMBNAIL_SIZE))
        image.load()
        if image.mode.startswith("I"):
            grey = Image.fromarray((np.asarray(image, np.uint32) >> 8).astype(np.uint8))
        elif image.mode in ("L", "RGB", "CMYK"):
            grey = image.convert("L")
        else:
            grey = image.convert("RGB").convert("L")
        return np.asarray(grey.resize((THUMBNAIL_SIZE, THUMBNAIL_SIZE), Image.Resampling.BOX))


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = Path(path).stat()
    except OSError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _key(paths: Sequence[str]) -> str:
    digest = hashlib.sha256(f"{SCAN_VERSION} {THUMBNAIL_SIZE}".encode())
    for path in paths:
        digest.update(os.fsencode(path) + b"\0")
    return digest.hexdigest()[:32]


def _empty(n: int) -> Scan:
    return Scan(
        digests=np.zeros(n, "U64"),
        widths=np.zeros(n, np.int32),
        heights=np.zeros(n, np.int32),
        modes=np.zeros(n, "U8"),
        orientations=np.ones(n, np.int8),
        errors=np.zeros(n, "U400"),
        thumbnails=np.zeros((n, THUMBNAIL_SIZE, THUMBNAIL_SIZE), np.uint8),
    )


def _load(store: Path, stamps: np.ndarray) -> tuple[Scan | None, np.ndarray]:
    nothing = np.zeros(len(stamps), bool)
    try:
        with store.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            kept = arrays["stamps"]
            scan = Scan(**{field: arrays[field] for field in _FIELDS})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None, nothing
    if kept.shape != stamps.shape or any(len(getattr(scan, field)) != len(stamps) for field in _FIELDS):
        return None, nothing
    return scan, (kept == stamps).all(axis=1) & (stamps[:, 0] >= 0)


def _save(store: Path, scan: Scan, stamps: np.ndarray) -> None:
    # A cache that cannot be written costs time, not correctness.
    with suppress(OSError), replacing(store) as temporary, temporary.open("wb") as file:
        np.savez(file, stamps=stamps, **{field: getattr(scan, field) for field in _FIELDS})
