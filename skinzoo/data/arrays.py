"""Images that come as arrays in an npz file: written as PNG files once, so that every case has a file."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from skinzoo.data.folders import make_once
from skinzoo.errors import DataError
from skinzoo.home import cache_folder


def extracted(archive: Path, name: str, parts: tuple[str, ...]) -> Path:
    """Return the folder with the images of an npz file as `PART_00000.png`, made where it is absent.

    The folder's name follows from the checksums of the arrays, so another file gets another folder. Arrays
    are read image by image: 10,015 images of 224 pixels need no more memory than one.

    Args:
        archive: A file with the arrays `PART_images`, uint8 `(n, height, width, 3)`.
        name: Name of the dataset.
        parts: Names of the parts.

    Raises:
        DataError: The file is not such an archive, or the images cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            members = [(entry.filename, entry.file_size, entry.CRC) for entry in file.infolist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise _bad(archive, str(error)) from error
    key = hashlib.sha256(json.dumps(sorted(members)).encode()).hexdigest()[:16]

    def build(folder: Path) -> None:
        for part in parts:
            for number, image in enumerate(stored_images(archive, f"{part}_images")):
                Image.fromarray(image).save(folder / f"{part}_{number:05d}.png", compress_level=1)

    return make_once(cache_folder() / name / key, build, what=f"The images of {archive.name}")


def stored_images(archive: Path, array: str) -> Iterator[np.ndarray]:
    """Yield the images of an array of an npz file, uint8 `(height, width, 3)`, without reading it as a whole.

    Raises:
        DataError: The array is absent, is not of RGB images in uint8, or the file is damaged.
    """
    try:
        with zipfile.ZipFile(archive) as file, file.open(f"{array}.npy") as stream:
            version = np.lib.format.read_magic(stream)
            header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            shape, fortran, dtype = header[version](stream)
            if dtype != np.uint8 or fortran or len(shape) != 4 or shape[3] != 3:
                raise _bad(archive, f"{array} of type {dtype} and shape {shape}")
            size = shape[1] * shape[2] * shape[3]
            for _ in range(shape[0]):
                content = stream.read(size)
                if len(content) != size:
                    raise _bad(archive, f"{array} ends too early")
                yield np.frombuffer(content, dtype=np.uint8).reshape(shape[1:])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _bad(archive, f"{type(error).__name__}: {error}") from error


def stored_labels(archive: Path, array: str) -> np.ndarray:
    """Return an integer array `(n,)` of an npz file.

    Raises:
        DataError: The array is absent or not of integers.
    """
    try:
        with np.load(archive, allow_pickle=False) as file:
            labels = np.asarray(file[array])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise _bad(archive, f"{type(error).__name__}: {error}") from error
    if not np.issubdtype(labels.dtype, np.integer) or labels.size != len(labels):
        raise _bad(archive, f"{array} of type {labels.dtype} and shape {labels.shape}")
    return labels.reshape(-1)


def _bad(archive: Path, received: str) -> DataError:
    return DataError(
        f"{archive} must be an npz file with uint8 images (n, height, width, 3) and integer labels "
        f"for each part. "
        f"Received: {received}",
        hint="Download it anew.",
    )
