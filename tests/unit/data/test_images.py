import os
import subprocess
import sys

import numpy as np
import pytest
from pictures import encoded, jpeg_header, picture, png_header
from PIL import Image

from skinzoo.data import images
from skinzoo.errors import DataError


@pytest.mark.parametrize("kind", images.FORMATS)
def test_the_content_decides_the_format_not_the_name(tmp_path, kind):
    path = tmp_path / "photo.tiff"
    path.write_bytes(encoded(picture(40, 30), kind))
    header = images.inspect(path)
    assert (header.format, header.width, header.height, header.orientation) == (kind, 40, 30, 1)


def test_non_ascii_names_with_spaces_are_read(tmp_path):
    path = tmp_path / "Muttermal Ünï 痣" / "Bild 1 é.jpg"
    path.parent.mkdir()
    path.write_bytes(encoded(picture(40, 30), "JPEG"))
    assert images.verify(path).width == 40


def test_orientation_is_reported(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    contents = encoded(picture(40, 30), "JPEG", exif=exif)
    assert images.inspect_bytes(contents).orientation == 6


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_jpeg_modes_are_accepted(mode):
    assert images.inspect_bytes(encoded(Image.fromarray(picture(9, 9)).convert(mode), "JPEG")).mode == mode


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA", "L", "1"])
def test_png_modes_are_accepted(mode):
    contents = encoded(Image.fromarray(picture(9, 9)).convert(mode), "PNG")
    assert images.inspect_bytes(contents).mode == mode


def test_sixteen_bit_png_is_accepted():
    contents = encoded(Image.fromarray(np.full((9, 9), 40_000, np.uint16)), "PNG")
    assert images.inspect_bytes(contents).mode.startswith("I")


@pytest.mark.parametrize("mode", ["P", "1"])
def test_a_bitmap_with_a_palette_is_refused(mode):
    contents = encoded(Image.fromarray(picture(9, 9)).convert(mode), "BMP")
    with pytest.raises(DataError, match=r"without a palette.*Convert it"):
        images.inspect_bytes(contents, name="case 7")


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (b"", "an empty file"),
        (b"image_id,dx\nISIC_1,nv\n", "a file of another kind"),
        (encoded(picture(40, 30), "TIFF"), "Received: TIFF"),
        (encoded(picture(40, 30), "WEBP"), "Received: WEBP"),
        (encoded(picture(40, 30), "PNG")[:12], "header|another kind"),
        (encoded(picture(40, 30), "JPEG")[:20], "header|another kind"),
        (png_header(30_000, 30_000), "at most 80,000,000 pixels"),
        (jpeg_header(30_000, 30_000), "at most 80,000,000 pixels"),
        (png_header(9_100, 9_100), "at most 80,000,000 pixels"),
        (png_header(9_300, 9_900), "at most 80,000,000 pixels"),
    ],
)
def test_unusable_files_are_errors_that_name_file_and_remedy(tmp_path, contents, words):
    path = tmp_path / "one two.jpg"
    path.write_bytes(contents)
    with pytest.raises(DataError, match=words) as caught:
        images.inspect(path)
    assert str(path) in str(caught.value)
    assert "--skip-bad" in str(caught.value)


def test_a_bomb_is_not_inflated(tmp_path):
    """900 million pixels would take 2.7 GB; the process gets 1 GB of address space."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(30_000, 30_000))
    program = (
        "import resource, sys; from skinzoo.data import images; from skinzoo.errors import DataError\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "try: images.verify(sys.argv[1])\n"
        "except DataError: sys.exit(3)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 3


def test_a_truncated_jpeg_passes_by_its_header_and_fails_by_its_pixels(tmp_path):
    whole = encoded(picture(200, 150), "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: len(whole) // 2])
    assert images.inspect(path).width == 200
    with pytest.raises(DataError, match=r"cut\.jpg.*truncated"):
        images.verify(path)


def test_a_missing_file_and_a_folder_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"absent\.jpg.*No such file.*Check the path"):
        images.inspect(tmp_path / "absent.jpg")
    with pytest.raises(DataError, match="directory"):
        images.inspect(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_without_permission_is_an_error(tmp_path):
    path = tmp_path / "secret.jpg"
    path.write_bytes(encoded(picture(9, 9), "JPEG"))
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        images.inspect(path)


def test_problems_lists_the_bad_files_only(tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    good.write_bytes(encoded(picture(9, 9), "PNG"))
    bad.write_text("no")
    assert list(images.problems([good, bad, bad])) == [str(bad)]
