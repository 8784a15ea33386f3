"""Image files and tables for the tests of this folder."""

import io
import struct
import zlib

import numpy as np
import pandas as pd
from PIL import Image

CLASSES = ("bkl", "mel", "nv")


def picture(width, height, seed=0):
    """A smooth RGB picture with a dark spot, as a uint8 array."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    y, x = y / height, x / width
    skin = np.stack([200 + 40 * x, 150 + 40 * y, 140 + 30 * x * y], axis=-1)
    spot = np.exp(-((x - random.uniform(0.3, 0.7)) ** 2 + (y - random.uniform(0.3, 0.7)) ** 2) / 0.03)
    noise = random.normal(0, 4, (height, width, 3))
    return np.clip(skin - 110 * spot[..., None] + noise, 0, 255).astype(np.uint8)


def encoded(image, kind, **options):
    """The bytes of an image file."""
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def png_header(width, height):
    """A PNG that promises pixels that it does not hold."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def jpeg_header(width, height):
    """A small JPEG whose header promises another size."""
    contents = encoded(picture(16, 16), "JPEG")
    frame = contents.index(b"\xff\xc0") + 5
    return contents[:frame] + struct.pack(">HH", height, width) + contents[frame + 4 :]


def table_of(folder, count=12, width=40, height=30):
    """Write `count` JPEGs and return their table of cases."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        path = folder / f"image{number:03d}.jpg"
        path.write_bytes(encoded(picture(width, height, number), "JPEG", quality=95))
        rows.append(
            {
                "image_path": str(path),
                "image_id": path.stem,
                "lesion_id": f"lesion{number // 2}",
                "label": CLASSES[min(number % 4, 2)],
                "age": np.nan if number == 1 else 20.0 + number,
                "sex": ("female", "male", "unknown")[number % 3],
                "localization": ("back", "face", "somewhere else")[number % 3],
                "confirmation": "histo",
                "dataset": "test",
                "part": "",
            }
        )
    table = pd.DataFrame(rows)
    table.attrs = {"dataset": "test", "classes": CLASSES, "left_out": [], "notes": []}
    return table
