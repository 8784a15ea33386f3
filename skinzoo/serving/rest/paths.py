"""What a path asks for, read as TensorFlow Serving reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from skinzoo.serving.status import RpcError, invalid_argument, not_found

_CHOICE = r"(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
_POST = re.compile(
    rf"/v1/models/(?P<name>[^/:]+){_CHOICE}:(?P<api>classify|regress|predict)", re.IGNORECASE | re.ASCII
)
_GET = re.compile(rf"/v1/models(?:/(?P<name>[^/:]+))?{_CHOICE}(?P<api>/metadata)?", re.IGNORECASE | re.ASCII)
_LARGEST_VERSION = 2**63 - 1


@dataclass(frozen=True)
class Target:
    """What a path asks for.

    Args:
        api: One of predict, classify, regress, metadata, status.
        name: Name of the model.
        version: Version number, where one is given.
        label: Label, where one is given instead.
    """

    api: str
    name: str
    version: int | None = None
    label: str | None = None

    @property
    def choice(self) -> dict[str, Any]:
        """Return version and label as keywords of `Models.use`."""
        return {"version": self.version, "label": self.label}


def parse(method: str, path: str) -> Target:
    """Return what a request asks for.

    Args:
        method: Method of HTTP.
        path: The path without the query, percent signs as they came.

    Raises:
        RpcError: It is none of the interface.
    """
    if not re.match("/v1/", path, re.IGNORECASE):
        raise not_found(f"No such path: {path}")
    pattern = {"POST": _POST, "GET": _GET}.get(method)
    found = pattern.fullmatch(path) if pattern else None
    if found is None:
        raise malformed(method, path)
    name, version, label = found["name"], found["version"], found["label"]
    if name is None:
        raise invalid_argument("Missing model name in request.")
    if version is not None and int(version[:20]) > _LARGEST_VERSION:
        raise invalid_argument(f"Failed to convert version: {version} to numeric.")
    api = (found["api"] or "status").lstrip("/").lower()
    return Target(api, unquote(name), int(version) if version else None, unquote(label) if label else None)


def malformed(method: str, path: str) -> RpcError:
    """Return the error for a request that is none of the interface."""
    return invalid_argument(f"Malformed request: {method} {path}")
