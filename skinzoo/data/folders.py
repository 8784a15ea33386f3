"""Making a folder once: whole or not at all, whoever else makes it at the same moment."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from skinzoo.errors import DataError

STALE_SECONDS = 3600.0


def make_once(folder: Path, build: Callable[[Path], None], *, what: str) -> Path:
    """Return a folder, making it if it is not there.

    It is made under a temporary name and renamed, so that it appears whole. Two processes that make it at
    the same moment both end with the one that was renamed first; what a killed process left is removed
    after an hour.

    Args:
        folder: Where it is to be.
        build: Fills the folder that it is given.
        what: What it holds, as the subject of the error's sentence.

    Raises:
        DataError: It cannot be written.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(folder.parent)
        temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
        try:
            build(temporary)
            temporary.chmod(0o755)
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{what} must be writable to {folder.parent}. Received: {error.strerror or error}.",
            hint="Free space there, or set SKINZOO_HOME to a folder that can be written.",
        ) from error
    return folder


def _remove_stale(folder: Path) -> None:
    for path in folder.glob(".making-*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path, ignore_errors=True)
