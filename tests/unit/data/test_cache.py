import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pictures import encoded, jpeg_header, picture, png_header, table_of

from skinzoo.data import cache as cache_module
from skinzoo.data.cache import cached_images
from skinzoo.data.decode import Decoding, decode
from skinzoo.errors import DataError

SMALL = Decoding(size=24)

BUILD = """
import json, sys
import pandas as pd
from skinzoo.data.cache import cached_images
from skinzoo.data.decode import Decoding
from skinzoo.errors import DataError
table = pd.read_json(sys.argv[1])
try:
    cache = cached_images(table, Decoding(size=int(sys.argv[3])), folder=sys.argv[2])
except DataError as error:
    print(error); sys.exit(3)
print(cache.built)
"""


def build_elsewhere(table, folder, size, before=""):
    described = Path(folder).parent / f"table-{len(table)}.json"
    table.to_json(described)
    return subprocess.Popen(
        [sys.executable, "-c", before + BUILD, str(described), str(folder), str(size)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def many(tmp_path, count):
    """A table of `count` rows that all show one file, which takes long to decode."""
    one = table_of(tmp_path / "large", 1, 600, 450)
    table = pd.concat([one] * count, ignore_index=True)
    table["image_id"] = [f"image{number}" for number in range(count)]
    return table


def leftovers(folder):
    return [path.name for path in Path(folder).iterdir() if path.name.endswith(".part")]


def test_rows_hold_the_decoded_files(tmp_path):
    table = table_of(tmp_path / "images")
    cache = cached_images(table, SMALL, folder=tmp_path / "cache")
    assert cache.built
    assert cache.images.shape == (12, 24, 24, 3)
    assert isinstance(cache.images, np.memmap)
    for image_id, path in zip(table["image_id"], table["image_path"], strict=True):
        expected = decode(Path(path).read_bytes(), SMALL).numpy()
        np.testing.assert_array_equal(cache.gather(cache.rows([image_id]))[0], expected)
    rows = np.array([5, 5, 0, 11])
    np.testing.assert_array_equal(cache.gather(rows), cache.images[rows])


def test_memory_and_disk_hold_the_same(tmp_path):
    table = table_of(tmp_path / "images")
    held = cached_images(table, SMALL, in_memory=True)
    kept = cached_images(table, SMALL, folder=tmp_path / "cache")
    np.testing.assert_array_equal(held.images, kept.images)
    np.testing.assert_array_equal(held.gather(np.array([3, 1])), kept.gather(np.array([3, 1])))
    assert held.path is None
    assert kept.path is not None


def test_a_second_call_finds_what_the_first_built(tmp_path):
    table = table_of(tmp_path / "images")
    assert cached_images(table, SMALL, folder=tmp_path / "cache").built
    assert not cached_images(table, SMALL, folder=tmp_path / "cache").built
    shuffled = table.sample(frac=1.0, random_state=0)
    found = cached_images(shuffled, SMALL, folder=tmp_path / "cache")
    assert not found.built
    assert found.rows(["image007"]).tolist() == [7]


def test_the_default_folder_is_in_the_home_folder(tmp_path):
    found = cached_images(table_of(tmp_path / "images", 2), SMALL)
    assert Path(os.environ["SKINZOO_HOME"]) / "cache" / "images" == found.path.parent


@pytest.mark.parametrize(
    "other",
    [
        Decoding(size=25),
        Decoding(size=24, resize="crop"),
        Decoding(size=24, preprocessing=("shades_of_gray",)),
    ],
)
def test_other_pixels_have_another_cache(tmp_path, other):
    table = table_of(tmp_path / "images", 2)
    first = cached_images(table, SMALL, folder=tmp_path / "cache")
    second = cached_images(table, other, folder=tmp_path / "cache")
    assert second.built
    assert first.path != second.path


def test_another_fingerprint_or_a_replaced_file_or_a_new_version_has_another_cache(tmp_path, monkeypatch):
    table = table_of(tmp_path / "images", 2)
    folder = tmp_path / "cache"
    paths = {cached_images(table, SMALL, folder=folder, fingerprint="a").path}
    paths.add(cached_images(table, SMALL, folder=folder, fingerprint="b").path)
    Path(table["image_path"][1]).write_bytes(encoded(picture(50, 50, 9), "PNG"))
    paths.add(cached_images(table, SMALL, folder=folder, fingerprint="a").path)
    monkeypatch.setattr("skinzoo.data.decode.DECODE_VERSION", 999)
    paths.add(cached_images(table, SMALL, folder=folder, fingerprint="a").path)
    assert len(paths) == 4


def spoil(table):
    """Put in one file of each kind that cannot be used; return the ids and a word of each reason."""
    whole = Path(table["image_path"][1]).read_bytes()
    Path(table["image_path"][1]).write_bytes(whole[:-300])
    Path(table["image_path"][4]).write_text("image_id,dx\n")
    Path(table["image_path"][6]).unlink()
    return {"image001": "cannot be decoded", "image004": "another kind", "image006": "No such file"}


@pytest.mark.parametrize("in_memory", [True, False])
def test_bad_images_are_errors_or_are_left_out_and_listed(tmp_path, in_memory):
    table = table_of(tmp_path / "Bilder mit Ü")
    reasons = spoil(table)
    options = {"folder": tmp_path / "cache", "in_memory": in_memory}
    with pytest.raises(DataError, match=r"image004\.jpg.*2 of 12 images.*--skip-bad"):
        cached_images(table, SMALL, **options)
    cache = cached_images(table, SMALL, skip_bad=True, **options)
    assert {one["image_id"] for one in cache.left_out} == set(reasons)
    for one in cache.left_out:
        assert one["image_id"] in one["path"]
        assert {"image004": "of another kind"}.get(one["image_id"], reasons[one["image_id"]]) in one["reason"]
    usable = cache.usable(table)
    assert len(usable) == 9
    assert len(usable.attrs["left_out"]) == 3
    assert usable.attrs["classes"] == table.attrs["classes"]
    for image_id, path in zip(usable["image_id"], usable["image_path"], strict=True):
        expected = decode(Path(path).read_bytes(), SMALL).numpy()
        np.testing.assert_array_equal(cache.gather(cache.rows([image_id]))[0], expected)
    with pytest.raises(DataError, match=r"image001.*It was left out"):
        cache.rows(["image001"])


@pytest.mark.parametrize("position", [0, 11])
def test_a_file_whose_header_is_bad_is_left_out_and_listed(tmp_path, position):
    table = table_of(tmp_path / "images")
    Path(table["image_path"][position]).write_text("no image")
    cache = cached_images(table, SMALL, folder=tmp_path / "cache", skip_bad=True)
    assert [one["image_id"] for one in cache.left_out] == [f"image{position:03d}"]
    assert len(cache.index) == 11
    for row in cache.usable(table).itertuples():
        expected = decode(Path(row.image_path).read_bytes(), SMALL).numpy()
        np.testing.assert_array_equal(cache.gather(cache.rows([row.image_id]))[0], expected)


def test_a_bomb_among_good_files_is_an_error(tmp_path):
    table = table_of(tmp_path / "images")
    Path(table["image_path"][3]).write_bytes(png_header(30_000, 30_000))
    Path(table["image_path"][5]).write_bytes(jpeg_header(30_000, 30_000))
    with pytest.raises(DataError, match=r"image003.* at most 80,000,000 pixels.*2 of 12"):
        cached_images(table, SMALL, folder=tmp_path / "cache")
    cache = cached_images(table, SMALL, folder=tmp_path / "cache", skip_bad=True)
    assert [one["image_id"] for one in cache.left_out] == ["image003", "image005"]


@pytest.mark.parametrize("kinds", [("PNG",), ("BMP",), ("GIF",), ("JPEG", "PNG", "GIF", "BMP")])
def test_other_formats_and_mixtures_are_cached(tmp_path, kinds):
    table = table_of(tmp_path / "images")
    for number, path in enumerate(table["image_path"]):
        Path(path).write_bytes(encoded(picture(40, 30, number), kinds[number % len(kinds)]))
    cache = cached_images(table, SMALL, folder=tmp_path / "cache")
    for row in table.itertuples():
        expected = decode(Path(row.image_path).read_bytes(), SMALL).numpy()
        np.testing.assert_array_equal(cache.gather(cache.rows([row.image_id]))[0], expected)


def test_a_truncated_file_alone_is_named(tmp_path):
    table = table_of(tmp_path / "images", 4)
    path = Path(table["image_path"][2])
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match=r"image002\.jpg' must be a complete image.*--skip-bad"):
        cached_images(table, SMALL, folder=tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


def test_a_cache_built_with_rows_left_out_is_refused_where_none_may_be(tmp_path):
    table = table_of(tmp_path / "images")
    spoil(table)
    cached_images(table, SMALL, folder=tmp_path / "cache", skip_bad=True)
    with pytest.raises(DataError, match="3 of 12 images cannot be used"):
        cached_images(table.drop(index=[]), SMALL, folder=tmp_path / "cache")
    assert not cached_images(table, SMALL, folder=tmp_path / "cache", skip_bad=True).built


def test_nothing_usable_is_an_error(tmp_path):
    table = table_of(tmp_path / "images", 2)
    for path in table["image_path"]:
        Path(path).write_text("no image")
    with pytest.raises(DataError, match=r"none of 2; the first: .*image000"):
        cached_images(table, SMALL, folder=tmp_path / "cache", skip_bad=True)
    with pytest.raises(DataError, match="at least one image"):
        cached_images(table.iloc[:0], SMALL, folder=tmp_path / "cache")


def test_unknown_ids_are_errors(tmp_path):
    cache = cached_images(table_of(tmp_path / "images", 2), SMALL, in_memory=True)
    with pytest.raises(DataError, match="Received: 'nobody'"):
        cache.rows(["image000", "nobody"])


def test_a_damaged_cache_is_an_error_that_says_what_to_do(tmp_path):
    table = table_of(tmp_path / "images", 2)
    path = cached_images(table, SMALL, folder=tmp_path / "cache").path
    (path / "images.npy").write_bytes(b"garbage")
    with pytest.raises(DataError, match="Remove that folder"):
        cached_images(table, SMALL, folder=tmp_path / "cache")


def test_progress_is_reported(tmp_path):
    seen = []
    cached_images(
        table_of(tmp_path / "images"),
        SMALL,
        in_memory=True,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (12, 12)


def test_two_builds_at_once_share_one_result(tmp_path):
    table, folder = many(tmp_path, 60), tmp_path / "cache"
    folder.mkdir()
    both = [build_elsewhere(table, folder, 224) for _ in range(2)]
    answers = [process.communicate(timeout=120) for process in both]
    assert sorted(out.strip() for out, _ in answers) == ["False", "True"], answers
    cache = cached_images(table, Decoding(size=224), folder=folder)
    expected = decode(Path(table["image_path"][0]).read_bytes(), Decoding(size=224)).numpy()
    assert (np.asarray(cache.images) == expected).all()
    assert leftovers(folder) == []


def test_without_locks_the_first_to_finish_wins(tmp_path, monkeypatch):
    import fcntl

    def no_locks(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    table, folder = table_of(tmp_path / "images"), tmp_path / "cache"
    real = cache_module._decode_all
    nested = []

    def other_build_meanwhile(*arguments):
        if not nested:
            nested.append(None)
            nested.append(cached_images(table, SMALL, folder=folder))
        return real(*arguments)

    monkeypatch.setattr(cache_module, "_decode_all", other_build_meanwhile)
    cache = cached_images(table, SMALL, folder=folder)
    np.testing.assert_array_equal(cache.images, nested[1].images)
    assert cache.path == nested[1].path
    assert leftovers(folder) == []


def test_a_killed_build_leaves_nothing_that_is_believed(tmp_path):
    table, folder = many(tmp_path, 1500), tmp_path / "cache"
    folder.mkdir()
    process = build_elsewhere(table, folder, 224)
    deadline = time.monotonic() + 60
    while not leftovers(folder) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(leftovers(folder)) == 1, "the build was killed while it was under way"
    again = table
    cache = cached_images(again, Decoding(size=224), folder=folder)
    assert cache.built
    expected = decode(Path(table["image_path"][0]).read_bytes(), Decoding(size=224)).numpy()
    assert all((np.asarray(cache.images[row]) == expected).all() for row in (0, 700, 1499))
    assert leftovers(folder) == []


@contextmanager
def ordinary_user():
    """Without root's right to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that other users can reach too."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder_is_an_error_with_a_way_out_unless_the_cache_is_there(open_folder):
    table = table_of(open_folder / "images", 3)
    folder = open_folder / "cache"
    folder.mkdir()
    folder.chmod(0o555)
    with (
        ordinary_user(),
        pytest.raises(DataError, match=r"readable and writable.*Permission denied.*in memory"),
    ):
        cached_images(table, SMALL, folder=folder)
    with ordinary_user():
        assert len(cached_images(table, SMALL, in_memory=True)) == 3
    folder.chmod(0o755)
    assert cached_images(table, SMALL, folder=folder).built
    folder.chmod(0o555)
    with ordinary_user():
        assert not cached_images(table, SMALL, folder=folder).built
    folder.chmod(0o755)


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "cache").write_text("I am a file")
    with pytest.raises(DataError, match="cache folder"):
        cached_images(table_of(tmp_path / "images", 2), SMALL, folder=tmp_path / "cache")


def test_a_limit_on_file_size_is_met_before_anything_is_decoded(tmp_path):
    table, folder = many(tmp_path, 60), tmp_path / "cache"
    folder.mkdir()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
    process = build_elsewhere(table, folder, 224, before=limit)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 3, err
    assert "must have room for 0.01 GiB. Received: File too large." in out
    assert "keep the images in memory" in out
    assert leftovers(folder) == []


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="only root can mount a small disk"
)
def test_a_full_disk_is_an_error_with_a_way_out(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        with pytest.raises(DataError, match=r"must have room for .* No space left on device.*SKINZOO_HOME"):
            cached_images(table_of(tmp_path / "images", 12), Decoding(size=96), folder=disk)
        assert leftovers(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_in_the_middle_is_an_error_and_leaves_nothing(tmp_path, monkeypatch, code):
    real, calls = os.pwrite, []

    def fails_later(*arguments):
        calls.append(1)
        if len(calls) > 3:
            raise OSError(code, os.strerror(code))
        return real(*arguments)

    monkeypatch.setattr(os, "pwrite", fails_later)
    with pytest.raises(DataError, match=os.strerror(code)):
        cached_images(table_of(tmp_path / "images"), SMALL, folder=tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []
    monkeypatch.setattr(os, "pwrite", real)
    assert cached_images(table_of(tmp_path / "images"), SMALL, folder=tmp_path / "cache").built


def test_a_failed_write_that_only_the_background_noticed_is_no_success(tmp_path, monkeypatch):
    calls = []

    def fails_once(descriptor):
        calls.append(descriptor)
        if len(calls) == 1:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(cache_module, "FLUSH_BYTES", 1)
    monkeypatch.setattr(cache_module.os, "fsync", fails_once)
    with pytest.raises(OSError, match="Input/output"), cache_module._Flusher(0) as flusher:
        flusher.wrote(1)
