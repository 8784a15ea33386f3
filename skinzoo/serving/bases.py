"""Which folders a remote caller may have models loaded from."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import grpc

from skinzoo.serving.folders import ModelSource
from skinzoo.serving.status import RpcError, invalid_argument

# A name is part of the addresses of REST and of the labels of metrics.
_NAME = re.compile(r"[^\x00-\x20/\\:\x7f]{1,256}")


class Bases:
    """The folders that models may be loaded from, links followed.

    Args:
        folders: The folders.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._folders = [_real(folder) for folder in folders]

    def add(self, folders: Iterable[Path]) -> None:
        """Allow further folders."""
        self._folders += [_real(folder) for folder in folders]

    def check(self, sources: Sequence[ModelSource]) -> None:
        """Check models that a remote caller asks for.

        Raises:
            RpcError: INVALID_ARGUMENT for a name that is none, PERMISSION_DENIED for a path elsewhere.
        """
        for source in sources:
            if not _NAME.fullmatch(source.name) or source.name in (".", ".."):
                raise invalid_argument(f"Illegal model name: {source.name!r}")
            inside = "\x00" not in str(source.base_path) and any(
                _real(source.base_path).is_relative_to(folder) for folder in self._folders
            )
            if not inside:
                # Whether there is such a folder is not told.
                raise RpcError(
                    grpc.StatusCode.PERMISSION_DENIED,
                    f"The base path of model {source.name} is outside of what this server may load from.",
                )


def _real(folder: Path) -> Path:
    return Path(os.path.realpath(folder.expanduser()))
