"""The models of a server: which versions there are, in which state, and who may use them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc

from skinzoo.errors import ModelError, SkinzooError
from skinzoo.serving.copying import Sightings, stamp_of, whole_versions
from skinzoo.serving.folders import ModelSource, versions_in
from skinzoo.serving.loading import LoadOptions, load
from skinzoo.serving.memory import give_back
from skinzoo.serving.servable import Servable
from skinzoo.serving.status import RpcError, failed_precondition, invalid_argument, not_found
from skinzoo.serving.versions import Model, Retries, State, Version, VersionStatus

_LOG = logging.getLogger(__name__)


class Models:
    """All that is served; used from many threads.

    Args:
        servables: Versions that are loaded already.
        labels: Their labels: model name to label to version.
        options: How further versions are loaded.
        loaded: Called with each of those that has become available.
        retries: How often one that does not load is tried again.
    """

    def __init__(
        self,
        servables: Iterable[Servable] = (),
        *,
        labels: Mapping[str, Mapping[str, int]] | None = None,
        options: LoadOptions | None = None,
        loaded: Callable[[Servable], None] = lambda _: None,
        retries: Retries | None = None,
    ) -> None:
        self._options = options or LoadOptions()
        self._loaded = loaded
        self._retries = retries or Retries()
        self._sources: tuple[ModelSource, ...] = ()
        self._sightings = Sightings()
        self._changed: Callable[[], None] = lambda: None
        self._closing = False
        self.closed = False
        """Whether `close` has unloaded everything."""
        self._models: dict[str, Model] = {}
        for one in servables:
            model = self._models.setdefault(one.name, Model(labels=dict((labels or {}).get(one.name, {}))))
            model.versions[one.version] = Version(one.path, State.AVAILABLE, servable=one)
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

    def listen(self, changed: Callable[[], None]) -> None:
        """Have a function called whenever a version has become available or has gone."""
        self._changed = changed

    def apply(self, sources: Sequence[ModelSource] | Callable[[], Sequence[ModelSource]]) -> None:
        """Bring what is loaded in line with what is to be served; returns when that is done.

        New versions are loaded before old ones go, and the last version of a model stays where its successor
        fails, so that a model which answers goes on answering.

        Args:
            sources: All models, those that are served already too; or what gives them, called when nothing
                else changes them, so that of several changes at a time the last one holds.

        Raises:
            SkinzooError: A version does not load, or a label cannot be set; everything else is done.
        """
        with self._changing:
            self._sources = tuple(sources() if callable(sources) else sources)
            failures: list[SkinzooError] = []
            for source in self._sources:
                failures += self._bring_in_line(source, whole_versions(source), anew=True)
            names = {source.name for source in self._sources}
            for name in [name for name in self._models if name not in names]:
                self._unload(name, list(self._models[name].versions))
                with self._lock:
                    del self._models[name]
        if failures:
            raise failures[0]

    def refresh(self, *, new: bool = True) -> list[SkinzooError]:
        """Look at the folders again: load versions that are new and whole, let go of those that are gone.

        A version that failed is tried again when its time has come, or when its folder has changed.

        Args:
            new: Look at the folders; False only tries again what failed.

        Returns:
            What cannot be done now: models without versions, labels that wait for theirs.
        """
        with self._changing:
            found: list[SkinzooError] = []
            for source in () if self._closing else self._sources:
                found += self._bring_in_line(source, self._seen(source, new), anew=False)
            self._sightings.looked()
        return found

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

    def close(self, timeout: float | None = None) -> bool:
        """Unload everything, once the requests that are inside are answered.

        Args:
            timeout: Seconds to wait for these, or for a version that is being loaded; None for as long as it
                takes.

        Returns:
            Whether everything is unloaded; if not, threads are still busy.
        """
        self._closing = True
        if self._changing.acquire(timeout=-1 if timeout is None else timeout):
            try:
                for name, model in self._models.items():
                    self._unload(name, list(model.versions), timeout)
                states = [one.state for model in self._models.values() for one in model.versions.values()]
                self.closed = State.UNLOADING not in states
            finally:
                self._changing.release()
        return self.closed

    def _find(self, name: str, version: int | None, label: str | None) -> Servable:
        model = self._models.get(name, Model())
        if label is not None:
            if label not in model.labels:
                raise invalid_argument(f"Unrecognized servable version label: {label}")
            version = model.labels[label]
        available = model.available()
        chosen = max(available, default=None) if version is None else version
        if chosen not in available:
            which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
            there = ", ".join(map(str, sorted(available))) if available else ", ".join(self._served())
            what = "versions" if available else "models"
            raise not_found(f"Servable not found for request: {which}; {what} here: {there or 'none'}")
        servable = model.versions[chosen].servable
        assert servable is not None
        return servable

    def _served(self) -> list[str]:
        return sorted(name for name, model in list(self._models.items()) if model.available())

    def _seen(self, source: ModelSource, new: bool) -> dict[int, Path]:
        """Return the versions that are known already or have stopped changing."""
        known = self._models[source.name].versions if source.name in self._models else {}
        if not new:
            return {one: entry.path for one, entry in known.items() if entry.state is not State.END}
        return {
            one: path
            for one, path in versions_in(source.base_path).items()
            if one in known or self._sightings.settled(path)
        }

    def _bring_in_line(
        self, source: ModelSource, on_disk: Mapping[int, Path], *, anew: bool
    ) -> list[SkinzooError]:
        with self._lock:
            model = self._models.setdefault(source.name, Model())
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
            if known is not None and known.state is State.AVAILABLE and known.path == on_disk[version]:
                # It is what is wanted, whatever became of another folder with its number.
                known.error = None
            if self._is_to_load(known, on_disk[version], anew=anew):
                self._load(source.name, model, version, on_disk[version], anew=anew)
            error = model.versions[version].error
            failures += [error] if error is not None and anew else []
        failures += self._set_labels(source, model)
        if set(wanted) & set(model.available()):
            keep = {*wanted, *model.labels.values()}
            self._unload(source.name, [version for version in model.versions if version not in keep])
        return failures

    def _is_to_load(self, known: Version | None, path: Path, *, anew: bool) -> bool:
        if known is None:
            return True
        if known.path != path and (anew or known.state is not State.AVAILABLE or known.error is None):
            return True
        if known.state is State.AVAILABLE:
            return False
        if anew or known.error is None or known.is_due:
            return True
        return stamp_of(path) != known.stamp and self._sightings.settled(path)

    def _load(self, name: str, model: Model, version: int, path: Path, *, anew: bool) -> None:
        before = model.versions.get(version)
        # The same number from another folder: what answers goes on meanwhile.
        old = before.servable if before is not None else None
        stamp = stamp_of(path)
        counts = before is not None and not anew and before.stamp == stamp and before.path == path
        entry = Version(path, State.LOADING, stamp=stamp, tries=before.tries if before and counts else 0)
        entry.tries += 1
        if old is None:
            with self._lock:
                model.versions[version] = entry
        _LOG.info("Loading %s version %s from %s", name, version, path)
        try:
            servable = load(name, version, path, self._options)
        except Exception as error:
            # Also what nobody thought of: the versions that answer must go on.
            failure = error if isinstance(error, SkinzooError) else _unexpected(path, error)
            # It is kept, and must not keep what the frames of its traceback hold.
            failure.__cause__ = failure.__context__ = None
            failure = failure.with_traceback(None)
            with self._lock:
                if before is not None and old is not None:
                    before.error = failure
                else:
                    entry.failed(failure, self._retries)
            again = f"; again in {self._retries.pause:g} s" if entry.again_at is not None else ""
            _LOG.error("Loading %s version %s failed%s: %s", name, version, again, failure)
        else:
            with self._lock:
                entry.servable, entry.state = servable, State.AVAILABLE
                model.versions[version] = entry
            if old is not None:
                old.close()
            self._loaded(servable)
            self._changed()

    def _set_labels(self, source: ModelSource, model: Model) -> list[SkinzooError]:
        with self._lock:
            available = model.available()
            # Where a label cannot move it stays where it was.
            before = {label: one for label, one in model.labels.items() if label in source.labels}
            labels = {**before, **source.labels}
            model.labels = {
                label: one if one in available else before[label]
                for label, one in labels.items()
                if one in available or before.get(label) in available
            }
        return [
            LabelError(
                f"Request to assign label {label} to version {version} of model {source.name}, "
                "which is not currently available for inference"
            )
            for label, version in source.labels.items()
            if version not in available
        ]

    def _unload(self, name: str, versions: Iterable[int], timeout: float | None = None) -> None:
        for version in versions:
            entry = self._models[name].versions[version]
            with self._lock:
                servable, entry.servable = entry.servable, None
                if servable is None:
                    entry.given_up()
                    continue
                entry.state = State.UNLOADING
            _LOG.info("Unloading %s version %s", name, version)
            self._changed()
            if not servable.close(timeout):
                continue
            del servable
            give_back()
            with self._lock:
                entry.state = State.END


def _unexpected(path: Path, error: Exception) -> ModelError:
    _LOG.debug("Unexpectedly", exc_info=error)
    return ModelError(f"'{path}' must load. Received: {type(error).__name__}: {error}.")


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
