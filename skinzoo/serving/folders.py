"""Base paths: what lies in them, and which of it is to be served."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skinzoo.errors import ModelError, UsageError
from skinzoo.export.names import SAVED_MODEL_FILE
from skinzoo.export.place import exports_folder


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which versions of a model are served.

    Args:
        latest: The newest so many; None for every version.
        specific: Exactly these instead, where there are any.
    """

    latest: int | None = 1
    specific: tuple[int, ...] = ()

    def choose(self, versions: Sequence[int]) -> list[int]:
        """Return the versions to serve of those that exist, ascending."""
        ordered = sorted(versions)
        if self.specific:
            return [version for version in ordered if version in self.specific]
        return ordered if self.latest is None else ordered[-self.latest :]


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model that is to be served.

    Args:
        name: Its name.
        base_path: The folder that its versions lie in.
        policy: Which versions are served.
        labels: Label to version.
    """

    name: str
    base_path: Path
    policy: Policy = Policy()
    labels: dict[str, int] = field(default_factory=dict)


def versions_in(folder: Path) -> dict[int, Path]:
    """Return the version folders in a model's folder: names that are whole numbers, leading zeros or not.

    Where two names are the same number the first in alphabetical order is taken.
    """
    found: dict[int, Path] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if re.fullmatch(r"[0-9]+", path.name) and path.is_dir():
                found.setdefault(int(path.name), path)
    return found


def default_models() -> list[ModelSource]:
    """Return the models in the folder that exports go to.

    Raises:
        ModelError: There is none.
    """
    folder = exports_folder()
    if not folder.is_dir():
        raise ModelError(
            f"There must be exports to serve. Received: none in '{folder}'.",
            hint="Export a run with: skinzoo export RUN",
        )
    return find_models([folder])


def find_models(bases: Sequence[Path]) -> list[ModelSource]:
    """Return the models in folders that a user names.

    Args:
        bases: Folders of models, folders of one model, or version folders.

    Raises:
        ModelError: One holds no model.
        UsageError: Two models have one name.
    """
    found: dict[str, ModelSource] = {}
    for base in bases:
        for source in _models_of(base.expanduser().absolute()):
            if source.name in found:
                raise UsageError(
                    f"Each model must have a name of its own. Received: '{source.name}' in "
                    f"'{found[source.name].base_path}' and in '{source.base_path}'.",
                    hint="Give names in a file with --model-config-file.",
                )
            found[source.name] = source
    return list(found.values())


def _models_of(base: Path) -> list[ModelSource]:
    if not base.is_dir():
        what = "a file" if base.exists() else "nothing is there"
        raise ModelError(
            f"A base must be a folder of exports. Received: '{base}', {what}.",
            hint="Export a run with: skinzoo export RUN",
        )
    if re.fullmatch(r"[0-9]+", base.name) and not versions_in(base):
        _check_version(base)
        # The name comes from the real parent, also of a path such as "1" or "../1".
        model = base.resolve().parent
        return [
            ModelSource(name=model.name, base_path=base.parent, policy=Policy(specific=(int(base.name),)))
        ]
    if (base / SAVED_MODEL_FILE).is_file():
        raise ModelError(
            f"The folder of a SavedModel must be a version number. Received: '{base}'.",
            hint="Put it into a folder such as MODEL/1.",
        )
    if versions_in(base):
        return [ModelSource(name=base.resolve().name, base_path=base)]
    found = [
        ModelSource(name=folder.name, base_path=folder)
        for folder in sorted(base.iterdir())
        if not folder.name.startswith(".") and folder.is_dir() and versions_in(folder)
    ]
    if not found:
        raise ModelError(
            f"A base must hold exports, as MODEL/VERSION/{SAVED_MODEL_FILE}. Received: '{base}' without any.",
            hint="Export a run with: skinzoo export RUN",
        )
    return found


def _check_version(folder: Path) -> None:
    if not (folder / SAVED_MODEL_FILE).is_file():
        raise ModelError(
            f"A version folder must hold a {SAVED_MODEL_FILE}. Received: '{folder}' without one.",
            hint="Export the run again with: skinzoo export RUN",
        )
