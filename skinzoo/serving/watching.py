"""Looking for new versions and for a changed configuration while a server runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from skinzoo.errors import SkinzooError
from skinzoo.serving.config import parse_config, read_text
from skinzoo.serving.folders import ModelSource
from skinzoo.serving.models import Models
from skinzoo.serving.versions import Retries

_LOG = logging.getLogger(__name__)
# Seconds between looks for versions to try again where folders are looked at once.
_PAUSE = 1.0


@dataclass(frozen=True, kw_only=True)
class Watching:
    """What is looked at, and how often; the defaults are TensorFlow Serving's.

    Args:
        folders: Seconds between looks at the folders of versions; 0 for one look at the start, negative for
            none, so that nothing is loaded before a reload request asks for it.
        config: Seconds between looks at the configuration file; 0 or less for one look at the start.
        config_file: The configuration file, where there is one.
        retries: How often a version that does not load is tried again.
    """

    folders: float = 1.0
    config: float = 0.0
    config_file: Path | None = None
    retries: Retries = field(default_factory=Retries)


class Watcher:
    """A thread that keeps models in line with folders and with the configuration file.

    Args:
        models: What is served.
        watching: What is looked at.
        sources: What is served at the start.
        taken: Called with the models of a changed configuration file before they are loaded.
    """

    def __init__(
        self,
        models: Models,
        watching: Watching,
        sources: Sequence[ModelSource] = (),
        *,
        taken: Callable[[Sequence[ModelSource]], None] = lambda _: None,
    ) -> None:
        self._models = models
        self._watching = watching
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="versions", daemon=True)
        self._complaints: set[str] = set()
        self._broken = ""
        self._taken = taken
        self._file = _File(watching.config_file, sources) if watching.config_file is not None else None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing new; what is being loaded is not waited for."""
        self._stop.set()

    def _look_at_config(self) -> None:
        assert self._file is not None
        try:
            # Read while nothing else changes models, so that an older text never undoes a newer request.
            self._models.apply(self._changed)
            _LOG.info("The models of %s are served", self._file.path)
        except _UnchangedError:
            return
        except SkinzooError as error:
            if str(error) != self._broken:
                _LOG.error("Of '%s' not everything is done: %s", self._file.path, error)
            self._broken = str(error)
        else:
            self._broken = ""

    def _changed(self) -> Sequence[ModelSource]:
        assert self._file is not None
        sources = self._file.changed()
        self._taken(sources)
        return sources

    def _look_at_folders(self) -> None:
        found = {str(one) for one in self._models.refresh()}
        for text in sorted(found - self._complaints):
            _LOG.warning("%s", text)
        self._complaints = found

    def _run(self) -> None:
        looks: list[tuple[float, Callable[[], object]]] = []
        if self._watching.config > 0 and self._file is not None:
            looks.append((self._watching.config, self._look_at_config))
        if self._watching.folders > 0:
            looks.append((self._watching.folders, self._look_at_folders))
        else:
            # A version that failed is tried again all the same.
            looks.append((_PAUSE, lambda: self._models.refresh(new=False)))
        due = [time.monotonic() + every for every, _ in looks]
        while not self._stop.wait(max(0.0, min(due) - time.monotonic())):
            for i, (every, look) in enumerate(looks):
                if time.monotonic() >= due[i]:
                    self._safely(look)
                    due[i] = time.monotonic() + every

    def _safely(self, look: Callable[[], object]) -> None:
        try:
            look()
        except OSError as error:
            # A folder that cannot be read now may be there again at the next look.
            if str(error) not in self._complaints:
                _LOG.warning("Looking for versions failed: %s", error)
            self._complaints.add(str(error))
        except Exception:
            _LOG.exception("A look at the models failed unexpectedly")


class _UnchangedError(SkinzooError):
    """The file is as it was."""


class _File:
    """A configuration file, and the text that was taken from it."""

    def __init__(self, path: Path, sources: Sequence[ModelSource]) -> None:
        self.path = path
        self._taken: str | None = None
        with suppress(SkinzooError):
            text = read_text(path)
            # It may have changed since these were read.
            self._taken = text if parse_config(text, path) == list(sources) else None

    def changed(self) -> Sequence[ModelSource]:
        text = read_text(self.path)
        if text == self._taken:
            raise _UnchangedError("unchanged")
        self._taken = text
        return parse_config(text, self.path)
