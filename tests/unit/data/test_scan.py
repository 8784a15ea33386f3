"""One pass over image files, good and bad, and its cache."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skinzoo.data import scan as module
from skinzoo.data.scan import scan_images
from skinzoo.home import cache_folder

PIXELS = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(path):
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def truncated(path):
    Image.fromarray(PIXELS).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:900])


BAD = {
    "truncated": (truncated, "truncated"),
    "text": (lambda path: path.write_text("not an image"), "another kind"),
    "empty": (lambda path: path.write_bytes(b""), "empty file"),
    "bomb": (bomb, "900,000,000|30,000 x 30,000|pixels"),
    "absent": (lambda path: None, "No such file"),
    "folder": (lambda path: path.mkdir(), "directory"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_noted(tmp_path, name):
    make, reason = BAD[name]
    good, bad = tmp_path / "good.jpg", tmp_path / "bad file é.jpg"
    Image.fromarray(PIXELS).save(good)
    make(bad)
    scan = scan_images([str(bad), str(good)])
    assert list(scan.usable) == [False, True]
    assert any(part in scan.errors[0] for part in reason.split("|")), scan.errors[0]
    assert scan.thumbnails[1].std() > 0


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P", "RGBA", "I;16", "1"])
def test_modes(tmp_path, mode):
    if mode == "I;16":
        image = Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(PIXELS).convert(mode)
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    image.save(path)
    scan = scan_images([str(path)])
    assert list(scan.errors) == [""]
    assert (scan.widths[0], scan.heights[0], scan.modes[0]) == (80, 60, mode)
    assert (
        abs(float(scan.thumbnails[0].mean()) - float(np.asarray(Image.fromarray(PIXELS).convert("L")).mean()))
        < 25
    )


def test_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "turned.jpg", exif=exif)
    Image.fromarray(PIXELS).save(tmp_path / "upright.jpg")
    scan = scan_images([str(tmp_path / "turned.jpg"), str(tmp_path / "upright.jpg")])
    assert list(scan.orientations) == [6, 1]


@pytest.fixture
def files(tmp_path):
    paths = []
    for i in range(3):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(PIXELS + np.uint8(i)).save(paths[-1])
    return paths


@pytest.fixture
def looks(monkeypatch):
    """Count the files that are really opened."""
    opened = []
    original = module._scan_one
    monkeypatch.setattr(module, "_scan_one", lambda path: opened.append(path) or original(path))
    return opened


def test_unchanged_files_are_not_read_again(files, looks):
    first = scan_images(files)
    again = scan_images(files)
    assert len(looks) == 3
    for field in module._FIELDS:
        np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
    os.utime(files[1], (1, 1))
    scan_images(files)
    assert looks[3:] == [files[1]]
    scan_images(files, cached=False)
    assert len(looks) == 7


def test_absent_files_are_looked_for_again(files, looks):
    absent = [files[0], files[0] + ".gone"]
    assert list(scan_images(absent).usable) == [True, False]
    Path(files[1]).rename(absent[1])
    assert list(scan_images(absent).usable) == [True, True]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"x" * 1000])
def test_a_damaged_cache_is_made_anew(files, looks, content):
    scan_images(files)
    (stored,) = (cache_folder() / "audit").iterdir()
    stored.write_bytes(content)
    assert scan_images(files).usable.all()
    assert len(looks) == 6


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(files, monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("SKINZOO_HOME", str(blocked))
    assert scan_images(files).usable.all()


def test_progress(files):
    seen = []
    scan_images(files, progress=lambda done, total: seen.append((done, total)))
    scan_images(files, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(3, 3), (3, 3)]


def test_no_files():
    assert scan_images([]).thumbnails.shape == (0, 96, 96)
