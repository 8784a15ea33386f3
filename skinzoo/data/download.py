"""Downloads of datasets from their official archives: resumed, checked, unpacked.

Pooch keeps the files and checks them; it starts every broken download anew, so the transfer itself is ours:
what has arrived stays in `NAME.part` and the rest is asked for with an HTTP range. `If-Range` makes the
server send the whole file where it has changed since.
"""

from __future__ import annotations

import errno
import fnmatch
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinzoo.data.unpack import unpack
from skinzoo.errors import DataError, ServingError, SkinzooError, UsageError, did_you_mean
from skinzoo.extras import require
from skinzoo.files import write_json
from skinzoo.home import datasets_folder
from skinzoo.specs import DatasetSpec, RemoteFile

Progress = Callable[[str, int, int | None], None]
"""Called with a file's name, the bytes that have arrived, and all its bytes where they are known."""

RECORD = "skinzoo-download.json"
ATTEMPTS = 5
"""Attempts in a row that bring no byte before a download is given up."""

_TIMEOUT = (20.0, 60.0)
_CHUNK = 1 << 16
"""Bytes written at a time; what a broken connection brought of the last such piece is lost."""
_PURPOSE = "Downloading datasets"


@dataclass(frozen=True)
class Fetched:
    """One file of a download.

    Args:
        name: File name.
        path: Where it lies, or the folder that it was unpacked to.
        action: `downloaded` or `present`.
        verified: Whether a published checksum was compared.
    """

    name: str
    path: Path
    action: str
    verified: bool


@dataclass(frozen=True)
class Download:
    """A finished download.

    Args:
        dataset: Name of the dataset.
        folder: Where it lies.
        files: Its files.
    """

    dataset: str
    folder: Path
    files: tuple[Fetched, ...]


def download_folder(spec: DatasetSpec, to: Path | None = None) -> Path:
    """Return where a dataset is downloaded to: `to`, else its folder under `skinzoo.home`."""
    return to.expanduser().absolute() if to is not None else datasets_folder() / spec.name


def chosen_files(spec: DatasetSpec, only: Sequence[str] = ()) -> tuple[RemoteFile, ...]:
    """Return the files of a dataset's archive whose names match one of the shell-style patterns, all without.

    Raises:
        DataError: The dataset has no file that can be downloaded.
        UsageError: A pattern matches nothing.
    """
    if not spec.files:
        source = f" from {spec.source.url}" if spec.source is not None and spec.source.url else ""
        raise DataError(
            f"Dataset '{spec.name}' must have files that can be downloaded directly. Received: none.",
            hint=f"Get it by hand{source}, unpack it to {download_folder(spec)} and run: "
            f"skinzoo data use {spec.name}",
        )
    names = [file.name for file in spec.files]
    for pattern in only:
        if not fnmatch.filter(names, pattern):
            raise UsageError(
                f"`only` must match files of dataset '{spec.name}': {', '.join(names)}. "
                f"Received: '{pattern}'.",
                hint=did_you_mean(pattern, names),
            )
    return tuple(
        file
        for file in spec.files
        if not only or any(fnmatch.fnmatch(file.name, pattern) for pattern in only)
    )


def download_dataset(
    spec: DatasetSpec,
    *,
    accept_licence: bool,
    to: Path | None = None,
    only: Sequence[str] = (),
    keep_archives: bool = False,
    progress: Progress | None = None,
    pause: float = 1.0,
) -> Download:
    """Download, check and unpack the files of a dataset; what is there already is checked and kept.

    Args:
        spec: The dataset.
        accept_licence: Whether the user accepts `spec.licence`.
        to: Folder; the dataset's own under `skinzoo.home` unless given.
        only: Shell-style patterns of file names; all files without.
        keep_archives: Keep archives after unpacking them.
        progress: Told what has arrived.
        pause: Seconds before the first further attempt; doubled with each.

    Returns:
        What lies where.

    Raises:
        MissingExtraError: The extra `download` is not installed.
        UsageError: The licence is not accepted, or a pattern matches nothing.
        ServingError: A file cannot be reached; the error names file, address and where to put it by hand.
        DataError: A file has wrong bytes, an archive is unsafe, or the disk is full.
    """
    files = chosen_files(spec, only)
    if not accept_licence:
        raise UsageError(
            f"The licence of dataset '{spec.name}' must be accepted before it is downloaded. "
            f"Received: no acceptance of '{spec.licence}'.",
            hint="Read it, then pass --accept-licence.",
        )
    require("pooch", extra="download", purpose=_PURPOSE)
    folder = download_folder(spec, to)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _need_space(folder, files)
        return Download(
            spec.name, folder, tuple(_fetch(file, folder, keep_archives, progress, pause) for file in files)
        )
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise DataError(
            f"The folder {folder} must be writable and have room. Received: {reason}.",
            hint="Free some space or name another folder with --to.",
        ) from error
    finally:
        # An empty folder would pass for a downloaded dataset.
        if made:
            with suppress(OSError):
                folder.rmdir()


def _fetch(
    file: RemoteFile, folder: Path, keep_archives: bool, progress: Progress | None, pause: float
) -> Fetched:
    record = _read_record(folder)
    unpacked = record.get(file.name, {})
    if file.unpack and unpacked.get("checksum") == file.checksum and (folder / unpacked["folder"]).is_dir():
        return Fetched(file.name, folder / unpacked["folder"], "present", bool(file.checksum))
    path = folder / file.name
    present = path.exists()
    before = _stamp(path)
    _retrieve(file, path, _Transfer(file, folder, progress, pause))
    action = "present" if present and _stamp(path) == before else "downloaded"
    if not file.unpack:
        return Fetched(file.name, path, action, bool(file.checksum))
    target = unpack(path, folder)
    write_json(
        folder / RECORD,
        record | {file.name: {"checksum": file.checksum, "folder": target.name, "url": file.url}},
    )
    if not keep_archives:
        path.unlink()
    return Fetched(file.name, target, action, bool(file.checksum))


def _retrieve(file: RemoteFile, path: Path, transfer: _Transfer) -> None:
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    # Pooch reports on its own logger what is rendered by the command already.
    logger.setLevel(logging.ERROR)
    try:
        pooch.retrieve(
            url=file.url,
            known_hash=file.checksum or None,
            fname=file.name,
            path=path.parent,
            downloader=transfer,
        )
    except ValueError as error:
        if "hash" not in str(error):
            raise
        raise DataError(
            f"'{file.name}' must have the checksum {file.checksum}. Received: other bytes from {file.url}, "
            "which were deleted.",
            hint="Try again. If it stays so, the archive has changed or something between here and there "
            f"alters downloads: get the file by hand, check it and put it at {path}",
        ) from error
    finally:
        logger.setLevel(level)


class _Transfer:
    """A downloader for pooch that continues where an earlier attempt broke off."""

    def __init__(self, file: RemoteFile, folder: Path, progress: Progress | None, pause: float) -> None:
        self._file = file
        self._target = folder / file.name
        self._part = folder / f"{file.name}.part"
        self._state = folder / f"{file.name}.part.json"
        self._progress = progress
        self._pause = pause

    def __call__(self, url: str, output_file: str, pooch: Any, check_only: bool = False) -> None:
        """Bring the whole file to `output_file`.

        Args:
            url: Address.
            output_file: Path of a temporary file that pooch checks and renames.
            pooch: Not used.
            check_only: Not used; pooch asks for it where it only looks whether a file exists.
        """
        import requests

        failures, reason = 0, ""
        while failures < ATTEMPTS:
            if failures:
                time.sleep(self._pause * 2 ** (failures - 1))
            before = self._size()
            try:
                self._receive(url)
            except requests.HTTPError as error:
                status = error.response.status_code if error.response is not None else 0
                reason = f"HTTP status {status}"
                if status not in (408, 425, 429) and status < 500:
                    break
            except requests.RequestException as error:
                reason = _short(error)
            else:
                os.replace(self._part, output_file)  # noqa: PTH105
                self._state.unlink(missing_ok=True)
                return
            failures = 1 if self._size() > before else failures + 1
        raise self._unreachable(url, reason)

    def _receive(self, url: str) -> None:
        import requests

        have, validator = self._kept(url)
        # A compressed transfer would make byte positions mean something else.
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": validator}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == 416:
                self._forget()
                raise requests.ConnectionError("the server could not continue the earlier download")
            response.raise_for_status()
            start, total = _extent(response)
            if response.status_code == 206 and start != have:
                self._forget()
                raise requests.ConnectionError("the server continued the earlier download at the wrong place")
            write_json(self._state, {"url": url, "validator": _validator(response), "total": total})
            self._write(response, start, total)
        if total is not None and self._size() != total:
            raise requests.ConnectionError(
                f"the connection broke off after {self._size():,} of {total:,} bytes"
            )

    def _write(self, response: Any, start: int, total: int | None) -> None:
        with self._part.open("ab" if start else "wb") as stream:
            done = start
            self._tell(done, total)
            for chunk in response.iter_content(_CHUNK):
                stream.write(chunk)
                done += len(chunk)
                self._tell(done, total)

    def _kept(self, url: str) -> tuple[int, str]:
        """Return what is there of an earlier attempt: its bytes and the validator that the server gave."""
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            validator = state["validator"] if state["url"] == url else ""
        except (OSError, ValueError, KeyError, TypeError):
            validator = ""
        # Without a validator nothing tells whether the rest would be of the same file.
        return (self._size(), validator) if validator else (0, "")

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)

    def _tell(self, done: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress(self._file.name, done, total if total is not None else self._file.size)

    def _unreachable(self, url: str, reason: str) -> SkinzooError:
        kept = self._size()
        return ServingError(
            f"'{self._file.name}' must be reachable at {url}. Received: {reason}.",
            hint=(f"The {kept:,} bytes that arrived are kept; the same command continues. " if kept else "")
            + f"Without a connection, get the file elsewhere and put it at {self._target}, then run the same "
            "command: it is checked and unpacked.",
        )


def _extent(response: Any) -> tuple[int, int | None]:
    """Return where a response's bytes begin and how many the whole file has."""
    if response.status_code == 206:
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        start = span.partition("-")[0]
        return int(start) if start.isdigit() else -1, int(total) if total.isdigit() else None
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _validator(response: Any) -> str:
    tag = response.headers.get("ETag", "")
    # A weak tag may stay the same when bytes change, so a range must not be based on it.
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    for sign, meaning in (
        ("NameResolutionError", "the host name cannot be resolved (no connection to the internet?)"),
        ("getaddrinfo", "the host name cannot be resolved (no connection to the internet?)"),
        ("Connection refused", "the connection was refused"),
        ("Network is unreachable", "the network is unreachable"),
        ("timed out", "the connection timed out"),
        ("CERTIFICATE_VERIFY_FAILED", "the server's certificate cannot be verified"),
        ("IncompleteRead", "the connection broke off"),
        ("Connection aborted", "the connection broke off"),
    ):
        if sign in text:
            return meaning
    return text[:200] or type(error).__name__


def _need_space(folder: Path, files: Sequence[RemoteFile]) -> None:
    missing = [file for file in files if not (folder / file.name).exists()]
    # An archive and what comes out of it lie side by side for a while.
    needed = sum((file.size or 0) * (2 if file.unpack else 1) for file in missing)
    free = shutil.disk_usage(folder).free
    if needed > free and not (folder / RECORD).exists():
        raise DataError(
            f"{folder} must have about {needed / 1e9:.1f} GB free. Received: {free / 1e9:.1f} GB.",
            hint="Free some space, name another folder with --to, or fetch fewer files with --only.",
        )


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
