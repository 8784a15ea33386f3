"""The decode-once cache: all images of a table as uint8 at the model's size, in one file or in memory.

A cache on disk is a folder `<folder>/<key>/` with `images.npy` (uint8, `(rows, size, size, 3)`, RGB), which
any NumPy can map, and `cache.json`. The key is a hash of the dataset's fingerprint, the image files' sizes
and times, and everything in `Decoding`; so a cache is never used for other pixels than it was made for.

* Two runs: the second waits for the first one's file lock, then uses its result. Where a file system has no
  locks both build, and the first to finish wins.
* A killed build: everything is written under a temporary name and renamed when complete; the lock dies with
  its process, and the next build removes what was left behind.
* A folder that cannot be written or a full disk: a DataError that says so and names the way out, a cache in
  memory. Space is reserved before anything is decoded, and rows are written with `pwrite`, as writing to a
  mapped file on a full disk would kill the process.
* Memory: rows are read with `pread` from the page cache, so that what counts as the process's own memory
  stays at a batch or two, however large the file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import mmap
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skinzoo.data import images as image_files
from skinzoo.data.decode import Decoding
from skinzoo.data.untuned import AHEAD, untuned
from skinzoo.errors import DataError
from skinzoo.files import write_json
from skinzoo.home import cache_folder
from skinzoo.machine import cores

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

IMAGES_FILE = "images.npy"
RECORD_FILE = "cache.json"
DECODE_BATCH = 16
FLUSH_BYTES = 64 * 2**20
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class ImageCache:
    """Decoded images, found by image id.

    Args:
        images: uint8 RGB of shape `(rows, size, size, 3)`; a read-only memory map where the cache is on disk.
        index: Row of each image id.
        decoding: How the images were made.
        left_out: Rows of the table that could not be used: dicts with `image_id`, `path` and `reason`.
        path: Folder of the cache; None where it is in memory.
        built: Whether this call decoded the images, rather than finding them.
    """

    images: np.ndarray
    index: Mapping[str, int]
    decoding: Decoding
    left_out: tuple[Mapping[str, str], ...] = ()
    path: Path | None = None
    built: bool = False
    _descriptor: _Descriptor | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.images)

    def rows(self, image_ids: Iterable[str]) -> np.ndarray:
        """Return the rows of image ids as int64.

        Raises:
            DataError: An id is not in the cache.
        """
        wanted = list(image_ids)
        try:
            return np.fromiter((self.index[one] for one in wanted), np.int64, len(wanted))
        except KeyError as error:
            reasons = [str(one["reason"]) for one in self.left_out if one["image_id"] == error.args[0]]
            raise DataError(
                f"Every image id must be in the cache of decoded images. Received: '{error.args[0]}'.",
                hint=f"It was left out: {reasons[0]}" if reasons else "Build the cache from the whole table.",
            ) from error

    def gather(self, rows: np.ndarray) -> np.ndarray:
        """Copy rows out of the cache.

        Args:
            rows: Integers of shape `(n,)`; may repeat.

        Returns:
            uint8 array of shape `(n, size, size, 3)`.
        """
        if self._descriptor is None:
            return self.images[rows]
        return self._descriptor.read(rows, self.images.shape[1:])

    def usable(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the table without the rows that were left out, and list these in its attrs."""
        if not self.left_out:
            return table
        gone = {str(one["image_id"]) for one in self.left_out}
        kept = table[~table["image_id"].isin(gone)].reset_index(drop=True)
        already = list(table.attrs.get("left_out", ()))
        listed = {str(one.get("image_id")) for one in already}
        new = [dict(one) for one in self.left_out if one["image_id"] not in listed]
        kept.attrs = {**table.attrs, "left_out": already + new}
        return kept


def cached_images(
    table: pd.DataFrame,
    decoding: Decoding,
    *,
    fingerprint: str = "",
    folder: Path | str | None = None,
    in_memory: bool = False,
    skip_bad: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ImageCache:
    """Find or build the cache of all images of a table.

    Args:
        table: The whole table of cases; only `image_path` and `image_id` are read.
        decoding: Size, resize mode and preprocessing.
        fingerprint: The dataset's fingerprint (`skinzoo.data.table.fingerprint`), a part of the key.
        folder: Where caches are kept; `$SKINZOO_HOME/cache/images` where not given.
        in_memory: Keep the images in memory and write nothing.
        skip_bad: Leave out and list rows whose image cannot be used, instead of failing.
        progress: Called with the number of images done and their total.

    Raises:
        DataError: An image cannot be used, or the cache cannot be written.
    """
    if table.empty:
        raise DataError("A table must have at least one image to decode. Received: an empty one.")
    if in_memory:
        return _in_memory(table, decoding, skip_bad, progress)
    base = Path(folder) if folder is not None else cache_folder() / "images"
    target = base / _key(table, decoding, fingerprint)
    try:
        found = _load(target, decoding, built=False)
        if found is None:
            with _lock(target):
                found = _load(target, decoding, built=False)
                if found is None:
                    _build(table, decoding, target, skip_bad, progress)
                    found = _load(target, decoding, built=True)
    except OSError as error:
        raise _not_writable(error, base, _bytes(len(table), decoding)) from error
    if found is None:
        raise DataError(
            f"The cache '{target}' must stay in place while it is used. Received: it was removed."
        )
    if found.left_out and not skip_bad:
        raise _refused([DataError(one["reason"]) for one in found.left_out], len(table))
    return found


def _in_memory(
    table: pd.DataFrame, decoding: Decoding, skip_bad: bool, progress: Callable[[int, int], None] | None
) -> ImageCache:
    shape = (len(table), decoding.size, decoding.size, 3)
    # NumPy asks for huge pages, which some virtual machines hand out slower than images are decoded.
    images = np.frombuffer(mmap.mmap(-1, int(np.prod(shape))), np.uint8).reshape(shape)

    def store(rows: np.ndarray, pixels: np.ndarray) -> None:
        images[rows] = pixels

    bad = _decode_all(table, decoding, store, skip_bad, progress)
    if bad:
        images = np.delete(images, list(bad), axis=0)
    images.setflags(write=False)
    kept = [image_id for row, image_id in enumerate(table["image_id"]) if row not in bad]
    index = {image_id: row for row, image_id in enumerate(kept)}
    return ImageCache(images, index, decoding, tuple(_listed(table, bad)), built=True)


def _build(
    table: pd.DataFrame,
    decoding: Decoding,
    target: Path,
    skip_bad: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    temporary.mkdir()
    try:
        with (temporary / IMAGES_FILE).open("wb") as stream:
            shape = (len(table), decoding.size, decoding.size, 3)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            stream.flush()
            offset, row_bytes = stream.tell(), int(np.prod(shape[1:]))
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(stream.fileno(), 0, offset + len(table) * row_bytes)

            with _Flusher(stream.fileno()) as flusher:

                def store(rows: np.ndarray, pixels: np.ndarray) -> None:
                    for row, one in zip(rows.tolist(), pixels, strict=True):
                        _write_all(stream.fileno(), one.data.cast("B"), offset + row * row_bytes)
                    flusher.wrote(len(rows) * row_bytes)

                bad = _decode_all(table, decoding, store, skip_bad, progress)
            os.fsync(stream.fileno())
        rows = [row for row in range(len(table)) if row not in bad]
        ids = table["image_id"].tolist()
        write_json(
            temporary / RECORD_FILE,
            {
                "decoding": decoding.as_dict(),
                "image_ids": [ids[row] for row in rows],
                "rows": rows if bad else None,
                "left_out": _listed(table, bad),
            },
        )
        try:
            temporary.rename(target)
        except OSError as error:
            # Without locks another process may have finished first; its cache has the same key.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _load(target: Path, decoding: Decoding, *, built: bool) -> ImageCache | None:
    try:
        record = json.loads((target / RECORD_FILE).read_text(encoding="utf-8"))
        images = np.load(target / IMAGES_FILE, mmap_mode="r")
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise DataError(
            f"The cache '{target}' must hold what skinzoo wrote. Received: {error}.",
            hint="Remove that folder; it is built again.",
        ) from error
    rows = record["rows"] or range(len(record["image_ids"]))
    index = dict(zip(record["image_ids"], rows, strict=True))
    descriptor = _Descriptor(target / IMAGES_FILE, images.offset)
    return ImageCache(images, index, decoding, tuple(record["left_out"]), target, built, descriptor)


def _listed(table: pd.DataFrame, bad: Mapping[int, DataError]) -> list[dict[str, str]]:
    ids, paths = table["image_id"].tolist(), table["image_path"].tolist()
    return [
        {"image_id": str(ids[row]), "path": str(paths[row]), "reason": bad[row].message}
        for row in sorted(bad)
    ]


def _refused(errors: list[DataError], total: int) -> DataError:
    first = errors[0]
    if len(errors) == 1:
        return first
    return DataError(
        f"{first.message} In all, {len(errors):,} of {total:,} images cannot be used.", hint=first.hint
    )


def _decode_all(
    table: pd.DataFrame,
    decoding: Decoding,
    store: Callable[[np.ndarray, np.ndarray], None],
    skip_bad: bool,
    progress: Callable[[int, int], None] | None,
) -> dict[int, DataError]:
    """Decode all files with all cores and store each; return the errors of rows that cannot be used.

    A first pass takes JPEGs, whose headers TensorFlow reads as well, and ends at the first file that it
    cannot take. Only then are the headers of what is left looked at in Python, which would cost the first
    pass a tenth of its speed; a second pass takes all that is usable.
    """
    paths = [str(path) for path in table["image_path"]]
    missing = dict.fromkeys(range(len(paths)))

    def run(*, is_inspected: bool) -> None:
        for rows, pixels in _decoded(paths, list(missing), decoding, is_inspected):
            store(rows, pixels)
            for row in rows.tolist():
                del missing[row]
            if progress is not None:
                progress(len(paths) - len(missing), len(paths))

    run(is_inspected=False)
    if not missing:
        return {}
    problems = image_files.problems(paths[row] for row in missing)
    bad = {row: problems[paths[row]] for row in missing if paths[row] in problems}
    if bad and not skip_bad:
        raise _refused(list(bad.values()), len(paths))
    for row in bad:
        del missing[row]
    run(is_inspected=True)
    for row in missing:
        try:
            store(np.array([row]), _decoded_alone(paths[row], decoding)[np.newaxis])
        except DataError as error:
            bad[row] = error
    if bad and not skip_bad:
        raise _refused([bad[row] for row in sorted(bad)], len(paths))
    if len(bad) == len(paths):
        raise DataError(
            f"At least one image must be usable. Received: none of {len(bad):,}; the first: {bad[0].message}"
        )
    return bad


def _decoded(
    paths: list[str], rows: list[int], decoding: Decoding, is_inspected: bool
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield batches of rows with their pixels, in any order, without those that cannot be decoded.

    Files that were not inspected must be JPEGs of a harmless size: anything else ends the iteration.
    """
    import tensorflow as tf

    from skinzoo.data.decode import decode

    def load(row: tf.Tensor, path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        contents = tf.io.read_file(path)
        if not is_inspected:
            height, width, _ = tf.unstack(tf.cast(tf.io.extract_jpeg_shape(contents), tf.int64))
            with tf.control_dependencies(
                [tf.debugging.Assert(height * width <= image_files.MAX_PIXELS, [height, width])]
            ):
                contents = tf.identity(contents)
        return row, decode(contents, decoding)

    if not rows:
        return
    names = np.array([os.fsencode(paths[row]) for row in rows], dtype=object)
    dataset = tf.data.Dataset.from_tensor_slices((np.array(rows, np.int64), names)).map(
        tf.autograph.experimental.do_not_convert(load), num_parallel_calls=cores(), deterministic=False
    )
    if is_inspected:
        dataset = dataset.ignore_errors()
    try:
        yield from untuned(dataset.batch(DECODE_BATCH).prefetch(AHEAD)).as_numpy_iterator()
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        logger.debug("A file must be looked at: %s", error)


def _decoded_alone(path: str, decoding: Decoding) -> np.ndarray:
    """Decode one file that could not be decoded among others, for the reason."""
    import tensorflow as tf

    from skinzoo.data.decode import decode

    try:
        return decode(tf.io.read_file(os.fsencode(path)), decoding).numpy()
    except tf.errors.OpError as error:
        raise image_files.undecodable(path, error.message.split("}} ")[-1].split(" [Op:")[0]) from error


def _key(table: pd.DataFrame, decoding: Decoding, fingerprint: str) -> str:
    digest = hashlib.sha256()
    for image_id, path in sorted(zip(table["image_id"], table["image_path"], strict=True)):
        # Files that were replaced under the same names must not meet an old cache.
        try:
            status = Path(path).stat()
            state = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            state = "unreadable"
        digest.update(f"{image_id}\0{state}\n".encode("utf-8", "surrogatepass"))
    about = json.dumps(
        {"fingerprint": fingerprint, "files": digest.hexdigest(), "decoding": decoding.as_dict()},
        sort_keys=True,
    )
    return f"{decoding.size}-{decoding.resize}-{hashlib.sha256(about.encode()).hexdigest()[:20]}"


@contextmanager
def _lock(target: Path) -> Iterator[None]:
    """Hold the build lock of a cache; remove what killed builds of it left behind."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ModuleNotFoundError:
        yield
        return
    with target.with_name(f".{target.name}.lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("Waiting for another process that builds the cache '%s'.", target)
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            logger.info("The cache '%s' is built without a lock: %s.", target, error)
            yield
            return
        for left in target.parent.glob(f".{target.name}.*.part"):
            shutil.rmtree(left, ignore_errors=True)
        yield


class _Descriptor:
    """An open cache file, read without mapping it."""

    def __init__(self, path: Path, offset: int) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self._offset = offset

    def read(self, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        result = np.empty((len(rows), *shape), np.uint8)
        row_bytes = int(np.prod(shape))
        for row, one in zip(np.asarray(rows).tolist(), result, strict=True):
            buffer = one.data.cast("B")
            done = 0
            while done < row_bytes:
                count = os.preadv(self._descriptor, [buffer[done:]], self._offset + row * row_bytes + done)
                if count == 0:
                    raise DataError(f"A cache must hold row {row}. Received: the end of the file.")
                done += count
        return result

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):
            os.close(self._descriptor)


class _Flusher:
    """Sends what was written to the disk meanwhile, so that the last `fsync` finds little left to do."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._running: Future[None] | None = None
        self._bytes = 0

    def wrote(self, count: int) -> None:
        self._bytes += count
        if self._bytes >= FLUSH_BYTES and (self._running is None or self._running.done()):
            if self._running is not None:
                self._running.result()
            self._bytes = 0
            self._running = self._pool.submit(os.fsync, self._descriptor)

    def __enter__(self) -> _Flusher:
        return self

    def __exit__(self, kind: object, *exception: object) -> None:
        self._pool.shutdown(wait=True)
        # The system reports a failed write to one fsync alone, which may be this one.
        if kind is None and self._running is not None:
            self._running.result()


def _write_all(descriptor: int, buffer: memoryview, offset: int) -> None:
    done = 0
    while done < len(buffer):
        done += os.pwrite(descriptor, buffer[done:], offset + done)


def _not_writable(error: OSError, folder: Path, size: int) -> DataError:
    reason = error.strerror or str(error)
    what = f"room for {size / 2**30:.2f} GiB" if error.errno in NO_SPACE else "readable and writable"
    need = "have " if error.errno in NO_SPACE else "be "
    return DataError(
        f"The cache folder '{folder}' must {need}{what}. Received: {reason}.",
        hint=f"Set SKINZOO_HOME to another folder, or keep the images in memory ({size / 2**30:.2f} GiB).",
    )


def _bytes(rows: int, decoding: Decoding) -> int:
    return rows * decoding.size**2 * 3
