"""Unpacking archives that come from elsewhere: nothing lands outside, nothing lands by halves."""

from __future__ import annotations

import shutil
import stat
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from skinzoo.errors import DataError

_CLUTTER = ("__MACOSX", ".DS_Store", "Thumbs.db")
MAX_RATIO = 200
"""Times its packed size that an archive may unpack to; images hardly shrink when packed."""


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a ZIP file into one folder, whole or not at all.

    An archive whose files all lie in one folder gives that folder, any other one a folder of the archive's
    own name. A folder that holds the same files already is left as it is.

    Args:
        archive: The ZIP file.
        folder: Where the new folder goes.

    Returns:
        The new folder.

    Raises:
        DataError: The archive is damaged, not a ZIP file, unpacks to absurdly much, has a member that is a
            link or would land outside, or the folder is there with other files.
        OSError: The disk is full or not writable.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not _is_clutter(member.filename)]
            for member in members:
                _check(member, archive)
            _check_size(members, archive)
            tops = {PurePosixPath(member.filename).parts[0] for member in members}
            top = next(iter(tops)) if len(tops) == 1 and not _is_single_file(members) else None
            target = folder / (top or archive.stem)
            if target.exists():
                _check_same(target, members, top, archive)
                return target
            with tempfile.TemporaryDirectory(prefix=f".{archive.name}.", dir=folder) as temporary:
                inside = Path(temporary) / "content"
                for member in members:
                    opened.extract(member, inside)
                (inside / top if top else inside).replace(target)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"'{archive.name}' must be a whole ZIP file without a password. Received: {error}.",
            hint=f"Delete {archive} and download it again.",
        ) from error
    return target


def _check_same(target: Path, members: list[zipfile.ZipInfo], top: str | None, archive: Path) -> None:
    for member in members:
        path = target.parent / member.filename if top else target / member.filename
        if not member.is_dir() and not (path.is_file() and path.stat().st_size == member.file_size):
            raise DataError(
                f"{target} must not exist before '{archive.name}' is unpacked, or hold the same files. "
                f"Received: a folder where '{member.filename}' is missing or of another size.",
                hint=f"Move {target} away and run the same command again.",
            )


def _is_clutter(name: str) -> bool:
    return any(part in _CLUTTER for part in PurePosixPath(name).parts)


def _is_single_file(members: list[zipfile.ZipInfo]) -> bool:
    return any(len(PurePosixPath(member.filename).parts) == 1 and not member.is_dir() for member in members)


def _check(member: zipfile.ZipInfo, archive: Path) -> None:
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    outside = not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]
    link = stat.S_ISLNK(member.external_attr >> 16)
    if outside or link:
        raise DataError(
            f"The members of '{archive.name}' must be plain files inside it. Received: {name!r}"
            f"{', a link' if link else ''}.",
            hint=f"Do not use this archive; delete {archive} and get it from its official address.",
        )


def _check_size(members: list[zipfile.ZipInfo], archive: Path) -> None:
    if not members:
        raise DataError(
            f"'{archive.name}' must hold files. Received: an empty archive.",
            hint=f"Delete {archive} and download it again.",
        )
    size = sum(member.file_size for member in members)
    packed = archive.stat().st_size
    if size > MAX_RATIO * max(packed, 4096):
        raise DataError(
            f"'{archive.name}' must unpack to at most {MAX_RATIO} times its size. Received: {size:,} bytes "
            f"from {packed:,}.",
            hint=f"Do not use this archive; delete {archive} and get it from its official address.",
        )
    free = shutil.disk_usage(archive.parent).free
    if size > free:
        raise DataError(
            f"{archive.parent} must have {size / 1e9:.1f} GB free to unpack '{archive.name}'. "
            f"Received: {free / 1e9:.1f} GB.",
            hint="Free some space or name another folder with --to.",
        )
