"""Optional dependencies: importing one or saying which `pip install` brings it."""

from __future__ import annotations

import importlib
from types import ModuleType

from skinzoo.errors import MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: The module's import name.
        extra: The extra of the distribution `skinzoo` that installs it.
        purpose: What needs it, as the subject of the error's sentence.

    Raises:
        MissingExtraError: The module is not installed; the error gives the pip command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"{purpose} needs the package '{error.name}', which is not installed.",
            hint=f'Install it with: pip install "skinzoo[{extra}]"',
        ) from error
