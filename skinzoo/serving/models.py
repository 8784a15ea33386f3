"""The models of a server: which versions there are, in which state, and who may use them."""

from __future__ import annotations

import enum
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from skinzoo.errors import ModelError, SkinzooError
from skinzoo.serving.folders import ModelSource, versions_in
from skinzoo.serving.loading import LoadOptions, load
from skinzoo.serving.servable import Servable
from skinzoo.serving.status import RpcError, failed_precondition, invalid_argument, not_found

_LOG = logging.getLogger(__name__)


class State(enum.IntEnum):
    """States of a version, with TensorFlow Serving's numbers."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True, kw_only=True)
class VersionStatus:
    """How a version stands.

    Args:
        name: Name of the model.
        version: Version number.
        state: Its state.
        error: Why it failed; None where it did not.
    """

    name: str
    version: int
    state: State
    error: SkinzooError | None = None


@dataclass
class _Version:
    path: Path
    state: State = State.START
    error: SkinzooError | None = None
    servable: Servable | None = None


@dataclass
class _Model:
    versions: dict[int, _Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def available(self) -> list[int]:
        return [number for number, one in self.versions.items() if one.state is State.AVAILABLE]


class Models:
    """All that is served; used from many threads.

    Args:
        servables: Versions that are loaded already.
        labels: Their labels: model name to label to version.
        options: How further versions are loaded.
        loaded: Called with each of those that has become available.
    """

    def __init__(
        self,
        servables: Iterable[Servable] = (),
        *,
        labels: Mapping[str, Mapping[str, int]] | None = None,
        options: LoadOptions | None = None,
        loaded: Callable[[Servable], None] = lambda _: None,
    ) -> None:
        self._options = options or LoadOptions()
        self._loaded = loaded
        self._models: dict[str, _Model] = {}
        for one in servables:
            model = self._models.setdefault(one.name, _Model(labels=dict((labels or {}).get(one.name, {}))))
            model.versions[one.version] = _Version(one.path, State.AVAILABLE, servable=one)
        # Held for a moment, and never while something loads.
        self._lock = threading.Lock()
        # Held by whoever brings versions in line.
        self._changing = threading.Lock()

    def only_name(self) -> str | None:
        """Return the name of the only model; None where there are several or none."""
        with self._lock:
            return next(iter(self._models)) if len(self._models) == 1 else None

    @contextmanager
    def use(self, name: str, *, version: int | None = None, label: str | None = None) -> Iterator[Servable]:
        """Hold a version while a request uses it.

        Args:
            name: Name of the model.
            version: Version number; the newest one that is available by default.
            label: A label instead of a version number.

        Raises:
            RpcError: There is no such model, version or label.
        """
        if not name:
            raise invalid_argument("ModelSpec has no name specified.")
        with self._lock:
            servable = self._find(name, version, label)
            servable.hold()
        try:
            yield servable
        finally:
            servable.release()

    def apply(self, sources: Sequence[ModelSource]) -> None:
        """Bring what is loaded in line with what is to be served; returns when that is done.

        New versions are loaded before old ones go, and the last version of a model stays where its successor
        fails, so that a model which answers goes on answering.

        Args:
            sources: All models, those that are served already too.

        Raises:
            SkinzooError: A version does not load, or a label cannot be set; everything else is done.
        """
        failures: list[SkinzooError] = []
        with self._changing:
            for source in sources:
                failures += self._bring_in_line(source)
            names = {source.name for source in sources}
            for name in [name for name in self._models if name not in names]:
                self._unload(name, list(self._models[name].versions))
                with self._lock:
                    del self._models[name]
        if failures:
            raise failures[0]

    def statuses(self, name: str, version: int | None = None) -> list[VersionStatus]:
        """Return how the versions of a model stand, the newest first.

        Raises:
            RpcError: There is no such model or version.
        """
        with self._lock:
            versions = self._models[name].versions if name in self._models else {}
            found = [
                VersionStatus(name=name, version=number, state=one.state, error=one.error)
                for number, one in sorted(versions.items(), reverse=True)
                if version in (None, number)
            ]
        if not found and version is None:
            raise not_found(f"Could not find any versions of model {name}")
        if not found:
            raise not_found(f"Could not find version {version} of model {name}")
        return found

    def available(self) -> list[Servable]:
        """Return every version that answers."""
        with self._lock:
            return [
                one.servable
                for model in self._models.values()
                for one in model.versions.values()
                if one.servable is not None and one.state is State.AVAILABLE
            ]

    def close(self) -> None:
        """Unload everything, once the requests that are inside are answered."""
        with self._changing:
            for name, model in self._models.items():
                self._unload(name, list(model.versions))

    def _find(self, name: str, version: int | None, label: str | None) -> Servable:
        model = self._models.get(name, _Model())
        if label is not None:
            if label not in model.labels:
                raise invalid_argument(f"Unrecognized servable version label: {label}")
            version = model.labels[label]
        available = model.available()
        chosen = max(available, default=None) if version is None else version
        if chosen not in available:
            which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            raise not_found(f"Servable not found for request: {which}")
        servable = model.versions[chosen].servable
        assert servable is not None
        return servable

    def _bring_in_line(self, source: ModelSource) -> list[SkinzooError]:
        with self._lock:
            model = self._models.setdefault(source.name, _Model())
        on_disk = versions_in(source.base_path)
        wanted = source.policy.choose(list(on_disk))
        failures: list[SkinzooError] = []
        absent = [version for version in source.policy.specific if version not in on_disk]
        if absent or not wanted:
            which = f"versions {', '.join(map(str, absent))}" if absent else "any version"
            failures.append(
                ModelError(
                    f"Could not find {which} of model {source.name} under base path '{source.base_path}'.",
                    hint="Export a run with: skinzoo export RUN",
                )
            )
        for version in wanted:
            known = model.versions.get(version)
            if known is None or known.state is not State.AVAILABLE or known.path != on_disk[version]:
                failures += self._load(source.name, model, version, on_disk[version])
        failures += self._set_labels(source, model)
        stale = [version for version in model.versions if version not in wanted]
        if set(wanted) & set(model.available()):
            self._unload(source.name, stale)
        return failures

    def _load(self, name: str, model: _Model, version: int, path: Path) -> list[SkinzooError]:
        before = model.versions.get(version)
        if before is not None and before.servable is not None:
            self._unload(name, [version])
        entry = _Version(path, State.LOADING)
        with self._lock:
            model.versions[version] = entry
        _LOG.info("Loading %s version %s from %s", name, version, path)
        try:
            servable = load(name, version, path, self._options)
        except SkinzooError as error:
            _LOG.error("Loading %s version %s failed: %s", name, version, error)
            with self._lock:
                entry.state, entry.error = State.END, error
            return [error]
        with self._lock:
            entry.servable, entry.state = servable, State.AVAILABLE
        self._loaded(servable)
        return []

    def _set_labels(self, source: ModelSource, model: _Model) -> list[SkinzooError]:
        with self._lock:
            available = model.available()
            model.labels = {label: one for label, one in source.labels.items() if one in available}
        return [
            LabelError(
                f"Request to assign label {label} to version {version} of model {source.name}, "
                "which is not currently available for inference"
            )
            for label, version in source.labels.items()
            if version not in available
        ]

    def _unload(self, name: str, versions: Iterable[int]) -> None:
        for version in versions:
            entry = self._models[name].versions[version]
            with self._lock:
                servable, entry.servable = entry.servable, None
                if servable is None:
                    continue
                entry.state = State.UNLOADING
            _LOG.info("Unloading %s version %s", name, version)
            servable.close()
            with self._lock:
                entry.state = State.END


class LabelError(SkinzooError):
    """A label for a version that does not answer."""

    exit_code = 6


def status_of(error: SkinzooError) -> RpcError:
    """Return what a client is told of a failure to load or to set up models."""
    if isinstance(error, LabelError):
        return failed_precondition(str(error))
    if isinstance(error, ModelError):
        return RpcError(grpc.StatusCode.INTERNAL, str(error))
    return invalid_argument(str(error))
