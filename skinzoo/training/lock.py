"""One process a run: a lock that dies with the process that holds it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from skinzoo.errors import ModelError, UsageError

LOCK_FILE = ".lock"
_ATTEMPTS = 5
_PAUSE = 0.1


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run's lock.

    The system drops it when the process ends, however it ends. A file system without locks gives none.

    Raises:
        UsageError: Another process holds it.
        ModelError: The run is gone: another process removes the run that it could not begin.
    """
    try:
        import fcntl
    except ModuleNotFoundError:
        yield
        return
    with _opened(run) as stream:
        # A listing of runs probes the lock for a moment, which must not be taken for a training.
        for attempt in range(_ATTEMPTS):
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if attempt == _ATTEMPTS - 1:
                    raise UsageError(
                        f"The run must not be in use. Received: '{run}', used by process {_holder(stream)}.",
                        hint="Wait for that training to end, or stop it.",
                    ) from error
                time.sleep(_PAUSE)
            except OSError:
                break
        if not (run / LOCK_FILE).exists():
            raise _gone(run)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def _opened(run: Path) -> IO[str]:
    try:
        return (run / LOCK_FILE).open("a+", encoding="ascii")
    except FileNotFoundError as error:
        raise _gone(run) from error
    except OSError as error:
        raise ModelError(
            f"A run must be writable to be trained. Received: '{run}' ({error.strerror}).",
            hint="Check the permissions of its directory.",
        ) from error


def _gone(run: Path) -> ModelError:
    return ModelError(
        f"A run must exist to be trained. Received: '{run}', which was removed meanwhile.",
        hint="Train a new run; see which there are: skinzoo runs",
    )


def is_locked(run: Path) -> bool:
    """Return whether a process holds a run's lock."""
    try:
        import fcntl
    except ModuleNotFoundError:
        return False
    with suppress(OSError), (run / LOCK_FILE).open(encoding="ascii") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _holder(stream: IO[str]) -> str:
    stream.seek(0)
    return stream.read().strip() or "unknown"
