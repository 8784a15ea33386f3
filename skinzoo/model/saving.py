"""Reading models back without custom_objects."""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras

from skinzoo.errors import ModelError
from skinzoo.plugins import installed_plugins


def load_model(path: str | Path) -> keras.Model:
    """Load a `.keras` file of a model that any installed plugin took part in.

    Keras finds a registered class only after its module was imported; the modules that the file names and
    that belong to skinzoo or to a plugin's distribution are imported first. Nothing else is imported.

    Args:
        path: The file.

    Raises:
        ModelError: The file cannot be read, or a plugin that it needs is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"`path` must be a .keras file. Received: '{path}', which is not a file.")
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ModelError(f"`path` must be a complete .keras file. Received: '{path}' ({error}).") from error
    packages = {"skinzoo"} | {p.target.split(".")[0].split(":")[0] for p in installed_plugins() if p.specs}
    for module in set(_modules(config)):
        if module.split(".")[0] in packages:
            with suppress(ModuleNotFoundError):
                importlib.import_module(module)
    try:
        # Lambda layers hold Python bytecode, which a file from elsewhere must not run.
        return keras.saving.load_model(path, safe_mode=True)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"'{path}' could not be loaded: {' '.join(str(error).split())[:300]}",
            hint="Install the plugin that it was made with; see: skinzoo plugins",
        ) from error


def _modules(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if isinstance(config.get("module"), str) and "class_name" in config:
            yield config["module"]
        for value in config.values():
            yield from _modules(value)
    elif isinstance(config, list):
        for value in config:
            yield from _modules(value)
