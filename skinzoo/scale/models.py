"""A model that workers load: what can be told of it without TensorFlow, and how each of them opens it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.client.local import ExportPredictor, LocalPredictor, RunPredictor, card_of, version_folder
from skinzoo.export.describe import CALIBRATION_FILE, read_calibration
from skinzoo.runs import load_run
from skinzoo.training.runs import MODEL_FILE

if TYPE_CHECKING:
    from skinzoo.client.options import ClientOptions
    from skinzoo.runs import Run

_CHUNK = 1 << 20
# How the model's files are read; the rest of a run says how it was trained.
_RUN_FILES = (MODEL_FILE, "classes.json", "config.json", str(CALIBRATION_FILE))


@dataclass(frozen=True, kw_only=True)
class SharedModel:
    """A run or an export on a file system that all workers see.

    Args:
        path: Directory of the run, or of the export's version.
        is_run: Whether it is a run.
        name: Name and version, as in results.
        classes: Class names in the order of the probabilities.
        calibrated: Whether results carry calibrated probabilities.
        fingerprint: SHA-256 of the files that determine the answers.
    """

    path: str
    is_run: bool
    name: str
    classes: tuple[str, ...]
    calibrated: bool
    fingerprint: str

    def open(self, options: ClientOptions) -> LocalPredictor:
        """Load it in this process.

        Raises:
            ModelError: It cannot be read.
        """
        if self.is_run:
            return RunPredictor(load_run(self.path), options)
        return ExportPredictor(Path(self.path), options)


def shared_run(run: Run) -> SharedModel:
    """Return a run as a model that workers load.

    Raises:
        ModelError: Its calibration is damaged.
    """
    path = run.path.resolve()
    return SharedModel(
        path=str(path),
        is_run=True,
        name=run.name,
        classes=run.classes,
        calibrated=read_calibration(run) is not None,
        fingerprint=_fingerprint(path, (path / name for name in _RUN_FILES)),
    )


def shared_export(folder: Path) -> SharedModel:
    """Return an export as a model that workers load.

    Args:
        folder: The folder of a version, or of a model, whose newest version is taken.

    Raises:
        ModelError: It is no export.
    """
    path = version_folder(folder).resolve()
    card = card_of(path)
    return SharedModel(
        path=str(path),
        is_run=False,
        name=f"{card.name}/{card.version}",
        classes=card.classes,
        calibrated=card.calibration is not None,
        fingerprint=_fingerprint(path, path.rglob("*")),
    )


def _fingerprint(folder: Path, paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        own = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                own.update(chunk)
        total.update(f"{path.relative_to(folder).as_posix()} {own.hexdigest()}\n".encode())
    return total.hexdigest()
