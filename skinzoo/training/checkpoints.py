"""Checkpoints of a training: written as one, found again after a kill at any point.

A checkpoint is a folder `state-<number>` with `state.json` and `variables.npz`. It is written under a name
that begins with a dot, synced and renamed; only then is the one before removed. The weights of the best epoch
lie in `best-<epoch>`, which stays until a later state names another epoch.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skinzoo.errors import ModelError

FORMAT = 1
STATE_FILE = "state.json"
VARIABLES_FILE = "variables.npz"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Args:
        number: Its number; later ones have higher numbers.
        state: The training's state as JSON's types.
        path: Its folder.
    """

    number: int
    state: Mapping[str, Any]
    path: Path

    def variables(self) -> dict[str, list[np.ndarray]]:
        """Return the groups of arrays, each in order.

        Raises:
            ModelError: The file cannot be read.
        """
        return _read_arrays(self.path / VARIABLES_FILE)


class CheckpointStore:
    """The checkpoints of one run.

    Args:
        folder: The run's folder of checkpoints; made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def latest(self) -> Checkpoint | None:
        """Return the newest checkpoint, or None.

        Raises:
            ModelError: Its state cannot be read.
        """
        found = _numbered(self.folder, "state")
        if not found:
            return None
        number, path = max(found.items())
        try:
            document = json.loads((path / STATE_FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise _damaged(path, error) from error
        if document.get("format") != FORMAT:
            raise ModelError(
                f"A checkpoint must be of format {FORMAT}. Received: format {document.get('format')!r} "
                f"in {path}.",
                hint="Go on with the version of skinzoo that wrote it.",
            )
        return Checkpoint(number, document["state"], path)

    def save(self, state: Mapping[str, Any], variables: Mapping[str, Sequence[np.ndarray]]) -> Checkpoint:
        """Write a checkpoint and remove the ones that it replaces.

        Args:
            state: JSON's types; `state["best"]["epoch"]` names the best epoch whose weights must be kept.
            variables: Groups of arrays.

        Raises:
            ModelError: The disk is full or the folder cannot be written; the one before, if any, stays.
        """
        number = max(_numbered(self.folder, "state"), default=-1) + 1
        text = json.dumps({"format": FORMAT, "state": state}, sort_keys=True, allow_nan=False)
        path = self._write(f"state-{number:08d}", variables, {STATE_FILE: text})
        best = (state.get("best") or {}).get("epoch")
        for other, old in _numbered(self.folder, "state").items():
            if other != number:
                _remove(old)
        for epoch, old in _numbered(self.folder, "best").items():
            if epoch != best:
                _remove(old)
        for left in self.folder.glob(".*.part"):
            _remove(left)
        return Checkpoint(number, dict(state), path)

    def save_best(self, epoch: int, weights: Sequence[np.ndarray]) -> None:
        """Write the weights of an epoch that is the best so far; the state saved next must name it.

        Raises:
            ModelError: As `save`.
        """
        path = self.folder / f"best-{epoch:08d}"
        if path.exists():
            # A kill came between this and the state that names it; the epoch was trained again.
            _remove(path)
        self._write(path.name, {"weights": weights}, {})

    def prune(self) -> None:
        """Remove the states of a finished training; the weights of its best epoch stay."""
        for old in _numbered(self.folder, "state").values():
            _remove(old)

    def best(self, epoch: int) -> list[np.ndarray]:
        """Return the weights of the best epoch.

        Raises:
            ModelError: They cannot be read.
        """
        return _read_arrays(self.folder / f"best-{epoch:08d}" / VARIABLES_FILE)["weights"]

    def _write(
        self, name: str, variables: Mapping[str, Sequence[np.ndarray]], texts: Mapping[str, str]
    ) -> Path:
        temporary = self.folder / f".{name}.{secrets.token_hex(4)}.part"
        try:
            temporary.mkdir(parents=True)
            arrays = {
                f"{group}/{i:05d}": array
                for group, values in variables.items()
                for i, array in enumerate(values)
            }
            with (temporary / VARIABLES_FILE).open("wb") as stream:
                np.savez(stream, **arrays)  # type: ignore[arg-type]
                _sync(stream)
            for file, text in texts.items():
                with (temporary / file).open("w", encoding="utf-8") as written:
                    written.write(text)
                    _sync(written)
            _sync_folder(temporary)
            temporary.rename(self.folder / name)
            _sync_folder(self.folder)
        except OSError as error:
            _remove(temporary)
            what = "have room" if error.errno in NO_SPACE else "be writable"
            raise ModelError(
                f"The folder of checkpoints must {what}. Received: {error.strerror} for {self.folder}.",
                hint="The checkpoint before is kept: make room and go on with --resume."
                if _numbered(self.folder, "state")
                else "Nothing was saved before: make room and begin again with --resume.",
            ) from error
        return self.folder / name


def _numbered(folder: Path, kind: str) -> dict[int, Path]:
    return {int(path.name.rpartition("-")[2]): path for path in folder.glob(f"{kind}-*")}


def _read_arrays(path: Path) -> dict[str, list[np.ndarray]]:
    groups: dict[str, list[np.ndarray]] = {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            for name in sorted(file.files):
                groups.setdefault(name.partition("/")[0], []).append(file[name])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise _damaged(path, error) from error
    return groups


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"A checkpoint must be complete. Received: {path} ({' '.join(str(error).split())}).",
        hint="It was changed or the disk is damaged; train anew.",
    )


def _sync(stream: Any) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    # Renamed first, so that a kill while files are being removed leaves no half checkpoint under its name.
    if not path.name.startswith("."):
        hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        path.rename(hidden)
        path = hidden
    shutil.rmtree(path, ignore_errors=True)
