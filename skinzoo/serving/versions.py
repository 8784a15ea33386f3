"""How a version of a model stands, and when one that failed is tried again."""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass, field
from pathlib import Path

from skinzoo.errors import SkinzooError
from skinzoo.serving.copying import Stamp
from skinzoo.serving.servable import Servable


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
        state: Its state; one that failed and is tried again is LOADING.
        error: Why it failed; None where it did not.
    """

    name: str
    version: int
    state: State
    error: SkinzooError | None = None


@dataclass(frozen=True, kw_only=True)
class Retries:
    """How often a version that does not load is tried again; the defaults are TensorFlow Serving's.

    Args:
        most: Tries after the first one.
        pause: Seconds between them.
    """

    most: int = 5
    pause: float = 60.0


@dataclass
class Version:
    """A version of a model, loaded or not.

    Args:
        path: Its folder.
        state: Its state.
        error: Why it failed.
        servable: What answers while it is AVAILABLE.
        tries: How often it was tried to load it.
        again_at: When it is tried again, on the monotonic clock; None for not at all.
        stamp: What its folder looked like when it was tried.
    """

    path: Path
    state: State = State.START
    error: SkinzooError | None = None
    servable: Servable | None = None
    tries: int = 0
    again_at: float | None = None
    stamp: Stamp = frozenset()

    def failed(self, error: SkinzooError, retries: Retries) -> None:
        """Note that it did not load."""
        self.error = error
        again = self.tries <= retries.most
        self.state = State.LOADING if again else State.END
        self.again_at = time.monotonic() + retries.pause if again else None

    def given_up(self) -> None:
        """Note that it is not wanted any more, whatever became of it."""
        self.again_at = None
        if self.state is not State.AVAILABLE:
            self.state = State.END

    @property
    def is_due(self) -> bool:
        """Return whether it is to be tried again by now."""
        return self.again_at is not None and time.monotonic() >= self.again_at


@dataclass
class Model:
    """The versions of a model and their labels."""

    versions: dict[int, Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def available(self) -> list[int]:
        """Return the versions that answer."""
        return [number for number, one in self.versions.items() if one.state is State.AVAILABLE]
