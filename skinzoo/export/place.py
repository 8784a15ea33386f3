"""Where exports lie: names, version numbers, and a folder that appears complete or not at all."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from skinzoo.errors import ModelError, UsageError
from skinzoo.home import home
from skinzoo.training.checkpoints import NO_SPACE

LARGEST_VERSION = 2**63 - 1


def exports_folder() -> Path:
    """Return the folder that exports go to and servers read."""
    return home() / "exports"


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
    """A version folder in the making.

    Args:
        path: The temporary folder, which does not exist yet.
        version: The version that it becomes, if nobody else takes it meanwhile.
    """

    def __init__(self, path: Path, version: int) -> None:
        self.path = path
        self.version = version
        self.final: Path | None = None


@contextmanager
def staging(base: Path, name: str, version: int | None) -> Iterator[tuple[Staging, Callable[[], Path]]]:
    """Give a temporary folder beside the versions of a model, and what renames it to its version.

    Whatever is not renamed is removed, with the folders that were made for it.

    Args:
        base: Folder of models.
        name: Name of the model.
        version: Version number; the next one unless given.

    Raises:
        UsageError: Name or version are none, or the version exists.
        ModelError: The folder cannot be written.
    """
    check_model_name(name)
    if version is not None:
        check_version(version)
    model = base / name
    with _explained(base):
        _check_free(model, version)
        made = _make_folders(model)
        wanted = version or max(versions_in(model), default=0) + 1
        # Servers take only folders with a number for versions.
        stage = Staging(model / f".{wanted}.{secrets.token_hex(4)}.part", wanted)

        def keep() -> Path:
            # Another export may have taken the number meanwhile.
            _check_free(model, version)
            stage.version = version or max(versions_in(model), default=0) + 1
            stage.final = model / str(stage.version)
            return stage.path.rename(stage.final)

        try:
            yield stage, keep
        finally:
            shutil.rmtree(stage.path, ignore_errors=True)
            for folder in made:
                with suppress(OSError):
                    folder.rmdir()


def _check_free(model: Path, version: int | None) -> None:
    if version is None:
        return
    taken = versions_in(model)
    if version in taken:
        raise UsageError(
            f"`--version` must be new. Received: {version}, which is there already: '{taken[version]}'.",
            hint=f"Leave --version out for the next one, {max(taken) + 1}.",
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
        what = "have room" if error.errno in NO_SPACE else "be a folder that can be written"
        raise ModelError(
            f"`--to` must {what}. Received: '{base}' ({error.strerror}).",
            hint="Choose another folder with --to.",
        ) from error
