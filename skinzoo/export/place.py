"""Where exports lie: names, version numbers, and a folder that appears complete or not at all."""

from __future__ import annotations

import errno
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skinzoo.errors import ModelError, UsageError
from skinzoo.export.formats import SAVEDMODEL, Format
from skinzoo.home import home
from skinzoo.training.checkpoints import NO_SPACE

LARGEST_VERSION = 2**63 - 1
_NOT_WRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG)


def exports_folder(target: Format | None = None) -> Path:
    """Return the folder that exports go to and servers read; formats beside SavedModel have their own."""
    other = target is not None and target.name != SAVEDMODEL
    return home() / (f"exports-{target.name}" if other and target else "exports")


def check_model_name(name: str) -> None:
    """Check the name of a model: a plain folder name, which a server can tell from a version.

    Raises:
        UsageError: It is none.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,150}", name) or name.isdigit():
        raise UsageError(
            "`--name` must be letters, digits, '_', '-', '.' and '+', must begin with a letter or digit, and "
            f"must not be a number alone. Received: '{name}'.",
            hint="A server takes the name of the folder for the name of the model.",
        )


def check_version(version: int) -> None:
    """Check a version number.

    Raises:
        UsageError: It is none.
    """
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version <= LARGEST_VERSION:
        raise UsageError(f"`--version` must be a whole number from 1. Received: {version}.")


def versions_in(folder: Path) -> dict[int, Path]:
    """Return the versions in a model's folder; leading zeros do not count, other names are no versions."""
    if not folder.is_dir():
        return {}
    return {int(path.name): path for path in folder.iterdir() if re.fullmatch(r"[0-9]+", path.name)}


class Staging:
    """A version folder in the making, under a name that servers do not take for a version.

    Args:
        model: The model's folder.
        version: Version number; the next one unless given.
    """

    def __init__(self, model: Path, version: int | None) -> None:
        self._model = model
        self._version = version
        self.path = model / f".export.{secrets.token_hex(6)}.part"

    def keep(self, prepare: Callable[[int], None]) -> Path:
        """Rename it to its version.

        Args:
            prepare: Writes what states the version; called again with the next one where another export
                took the number meanwhile.

        Raises:
            UsageError: The version that was asked for exists.
        """
        while True:
            version = self._version
            if version is None:
                version = max(versions_in(self._model), default=0) + 1
            else:
                _check_free(self._model, version)
            prepare(version)
            try:
                return self.path.rename(self._model / str(version))
            except OSError as error:
                # Nothing takes the place of a folder that holds something.
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise


@contextmanager
def staging(base: Path, name: str, version: int | None, target: Format) -> Iterator[Staging]:
    """Give a folder beside the versions of a model, to be renamed to its version when all is well.

    Whatever is not renamed is removed, with the folders that were made for it.

    Args:
        base: Folder of models.
        name: Name of the model.
        version: Version number; the next one unless given.
        target: The format.

    Raises:
        UsageError: Name or version are none, the version exists, or there are versions of another format.
        ModelError: The folder cannot be written.
    """
    check_model_name(name)
    if version is not None:
        check_version(version)
    model = base / name
    with _explained(base):
        if version is not None:
            _check_free(model, version)
        _check_format(model, target)
        made = _make_folders(model)
        stage = Staging(model, version)
        try:
            # Whether it can be written is known before the model is loaded.
            stage.path.mkdir()
            stage.path.rmdir()
            yield stage
        finally:
            shutil.rmtree(stage.path, ignore_errors=True)
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()


def _check_free(model: Path, version: int) -> None:
    taken = versions_in(model)
    if version in taken:
        raise UsageError(
            f"`--version` must be new. Received: {version}, which is there already: '{taken[version]}'.",
            hint=f"Leave --version out for the next one, {max(taken) + 1}.",
        )


def _check_format(model: Path, target: Format) -> None:
    for path in versions_in(model).values():
        if not (path / target.file).exists():
            raise UsageError(
                f"The versions of a model must have one format, {target.name}. Received: '{path}', which has "
                f"no {target.file}.",
                hint="Choose another --to or --name.",
            )


def _make_folders(folder: Path) -> list[Path]:
    """Make a folder and return those that were missing, the deepest first."""
    missing = []
    for one in (folder, *folder.parents):
        if one.exists():
            break
        missing.append(one)
    folder.mkdir(parents=True, exist_ok=True)
    return missing


@contextmanager
def _explained(base: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (*NO_SPACE, *_NOT_WRITABLE):
            raise
        what = "have room" if error.errno in NO_SPACE else "be a folder that can be written"
        raise ModelError(
            f"`--to` must {what}. Received: '{base}' ({error.strerror}).",
            hint="Choose another folder with --to.",
        ) from error
