"""Lesion masks: finding the file of an image and bringing it to the square that the model sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from skinzoo.data.decode import Decoding
from skinzoo.data.images import inspect
from skinzoo.errors import DataError

ENDINGS = ("_segmentation", "_lesion", "_mask", "")
"""What follows the image's id in the name of its mask, as HAM10000 and ISIC, PH2 and others have it."""
SUFFIXES = (".png", ".bmp", ".gif")
"""Without JPEG, which blurs borders, and which images are kept in."""
BETWEEN = 0.02
"""Share of pixels between black and white that a mask may have, as smoothed borders do."""
SKEW = 0.02
"""By how much the aspect ratios of mask and image may differ, relatively."""


def find_masks(folder: Path) -> dict[str, Path]:
    """Return the mask file of each image id, from a folder and the folders in it.

    Where an id has several, `ID_segmentation.png` goes before `ID.png`.

    Raises:
        DataError: There is no such folder, or no image file in it that could be a mask.
    """
    if not folder.is_dir():
        raise DataError(
            f"`masks` must be a folder of mask images. Received: '{folder}', which is no folder.",
            hint="Masks are named IMAGE_ID_segmentation.png or IMAGE_ID.png.",
        )
    found: dict[str, tuple[int, Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        rank = next(i for i, ending in enumerate(ENDINGS) if path.stem.lower().endswith(ending))
        name = path.stem[: len(path.stem) - len(ENDINGS[rank])]
        if name not in found or rank < found[name][0]:
            found[name] = (rank, path)
    if not found:
        raise DataError(
            f"`masks` must hold {', '.join(SUFFIXES)} files. Received: '{folder}', which holds none.",
            hint="Masks are named IMAGE_ID_segmentation.png or IMAGE_ID.png.",
        )
    return {name: path for name, (_, path) in found.items()}


def read_mask(path: Path, image_path: Path, decoding: Decoding) -> np.ndarray:
    """Read a mask as the model sees its image: cut and squashed in the same way.

    Args:
        path: The mask's file, of any resolution, white (or any one bright value) on the lesion.
        image_path: The image's file.
        decoding: How images become the model's input.

    Returns:
        bool `(s, s)`: the pixels of which at least half is lesion.

    Raises:
        DataError: A file cannot be read, the mask is not black and white, or its shape is not the image's.
    """
    header = inspect(image_path)
    inspect(path)
    try:
        with Image.open(path) as opened:
            values = np.asarray(opened.convert("L"), np.float32)
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"Mask '{path}' must be a complete image. Received: {error}.") from error
    # Some tools write 1 rather than 255 for the lesion.
    values /= max(float(values.max()), 1.0)
    between = float(((values > 0.1) & (values < 0.9)).mean())
    if between > BETWEEN:
        raise DataError(
            f"A lesion mask must be black and white. Received: '{path}', of which {between:.0%} is between.",
            hint="Is the folder that of the masks, not that of the images?",
        )
    height, width = values.shape
    if abs((width / height) / (header.width / header.height) - 1) > SKEW:
        raise DataError(
            f"A lesion mask must have its image's aspect ratio. Received: '{path}' of {width}x{height} for "
            f"an image of {header.width}x{header.height}.",
            hint="A mask of another crop of the image cannot be laid over it.",
        )
    picture = Image.fromarray(values)
    if decoding.resize == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    # Pillow's bilinear filter averages over a pixel's whole area where it shrinks, as decoding does.
    square = picture.resize((decoding.size, decoding.size), Image.Resampling.BILINEAR)
    return np.asarray(square) >= 0.5


def mask_of(
    masks: Mapping[str, Path], image_id: str, image_path: Path, decoding: Decoding
) -> np.ndarray | None:
    """Return the mask of an image, or None where there is none; arguments as `read_mask`."""
    path = masks.get(image_id)
    return None if path is None else read_mask(path, image_path, decoding)
