"""The models of a server: names, versions, labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from skinzoo.serving.servable import Servable
from skinzoo.serving.status import invalid_argument, not_found


class Models:
    """All that is loaded.

    Args:
        servables: What is loaded.
        labels: Model name to label to version.
    """

    def __init__(
        self, servables: list[Servable], *, labels: Mapping[str, Mapping[str, int]] | None = None
    ) -> None:
        self._versions: dict[str, dict[int, Servable]] = {}
        for servable in servables:
            self._versions.setdefault(servable.name, {})[servable.version] = servable
        self._labels = {name: dict(versions) for name, versions in (labels or {}).items()}

    def only_name(self) -> str | None:
        """Return the name of the only model; None where there are several or none."""
        return next(iter(self._versions)) if len(self._versions) == 1 else None

    @contextmanager
    def use(self, name: str, *, version: int | None = None, label: str | None = None) -> Iterator[Servable]:
        """Hold a version while a request uses it.

        Args:
            name: Name of the model.
            version: Version number; the newest one by default.
            label: A label instead of a version number.

        Raises:
            RpcError: There is no such model, version or label.
        """
        if label is not None:
            version = self._labels.get(name, {}).get(label)
            if version is None:
                raise invalid_argument(f"Unrecognized servable version label: {label}")
        versions = self._versions.get(name, {})
        if version is None and versions:
            version = max(versions)
        if version is None or version not in versions:
            which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise not_found(f"Servable not found for request: {which}")
        yield versions[version]
