"""Telling a version folder that is being copied from one that is whole.

An export is written under a name that is no number and renamed, so its folder is whole from the moment that
it is there. What others copy straight into place is told by two signs: files that a SavedModel needs are
missing, or the folder is not as it was when it was looked at before.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from skinzoo.export.names import SAVED_MODEL_FILE
from skinzoo.serving.folders import ModelSource, versions_in

_LOG = logging.getLogger(__name__)
_VARIABLES = "variables"
_INDEX = "variables.index"
_SHARD = re.compile(r"variables\.data-(\d{5})-of-(\d{5})")

Stamp = frozenset[tuple[str, int, int]]
"""Path, size in bytes and time of change in nanoseconds of every file."""


def missing_from(folder: Path) -> str | None:
    """Return the name of a file that a version folder lacks; None where it is whole.

    Args:
        folder: The version folder.
    """
    if not (folder / SAVED_MODEL_FILE).is_file():
        return SAVED_MODEL_FILE
    variables = folder / _VARIABLES
    if not variables.is_dir():
        # A graph without weights has no such folder.
        return None
    names = {path.name for path in variables.iterdir()}
    if _INDEX not in names:
        return f"{_VARIABLES}/{_INDEX}"
    totals = {int(found[2]) for name in names if (found := _SHARD.fullmatch(name))}
    for number in range(max(totals, default=1)):
        shard = f"variables.data-{number:05}-of-{max(totals, default=1):05}"
        if shard not in names:
            return f"{_VARIABLES}/{shard}"
    return None


def stamp_of(folder: Path) -> Stamp:
    """Return what a folder looks like, to tell whether it has changed."""
    found = set()
    for path in folder.rglob("*"):
        try:
            facts = path.stat()
        except FileNotFoundError:
            # A copy that renames its temporary files.
            continue
        found.add((str(path.relative_to(folder)), facts.st_size, facts.st_mtime_ns))
    return frozenset(found)


def whole_versions(source: ModelSource) -> dict[int, Path]:
    """Return the versions that are whole, and those that are asked for by number.

    Where none is whole all are returned, so that loading tells what is wrong.
    """
    on_disk = versions_in(source.base_path)
    asked = source.policy.specific
    whole = {one: path for one, path in on_disk.items() if one in asked or missing_from(path) is None}
    for version in sorted(on_disk.keys() - whole.keys()) if whole else ():
        _LOG.warning("Leaving out %s version %s, which is not whole", source.name, version)
    return whole or on_disk


class Sightings:
    """Remembers what folders looked like at the last look, so that one that still changes is left alone."""

    def __init__(self) -> None:
        self._before: dict[Path, Stamp] = {}
        self._now: dict[Path, Stamp] = {}

    def settled(self, folder: Path) -> bool:
        """Return whether a folder is whole, and is as it was at the look before.

        Args:
            folder: The version folder.
        """
        stamp = self._now[folder] = stamp_of(folder)
        return self._before.get(folder) == stamp and missing_from(folder) is None

    def looked(self) -> None:
        """End a look at all folders."""
        self._before, self._now = self._now, {}
