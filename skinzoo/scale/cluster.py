"""A Ray cluster for the time of a command: one of its own on this machine, or one that runs already."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from skinzoo.errors import ServingError, UsageError
from skinzoo.extras import require
from skinzoo.quiet import silenced

EXTRA = "ray"
LOCAL, AUTO = "local", "auto"
_REACH_SECONDS = 10.0
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Both announce what a later version will do.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    # Else it writes what it held back when it ends.
    "RAY_DEDUP_LOGS": "0",
    # Its C++ part writes to stderr, past Python's logging.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def connect(
    address: str | None = None,
    *,
    purpose: str = "`--ray`",
    cpus: int | None = None,
    gpus: int | None = None,
) -> Iterator[ModuleType]:
    """Start a cluster on this machine, or join one, and leave it as it was found.

    Ray's log lines, usage statistics and dashboard are off, and its signal handlers do not stay. A cluster
    that this process is connected to already is used as it is.

    Args:
        address: `HOST:PORT` or `ray://HOST:PORT` of a running cluster, or `auto`; None starts one here.
        purpose: What needs Ray, as the subject of the error where it is not installed.
        cpus: CPUs of a cluster that is started here; all of the machine unless given.
        gpus: Its GPUs; all of the machine unless given.

    Yields:
        The module `ray`, connected.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: CPUs or GPUs are given for a cluster that runs already.
        ServingError: There is no cluster at the address, or none can be started.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    ray: Any = require("ray", extra=EXTRA, purpose=purpose)
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"address": address or LOCAL}
    if address is None:
        options |= {"include_dashboard": False, "num_cpus": cpus, "num_gpus": gpus}
    elif cpus is not None or gpus is not None:
        raise UsageError("CPUs and GPUs must be those of the cluster where --address is given.")
    try:
        if address is not None:
            _reach(address)
        with _own_signals(), silenced(shown_on_failure=True):
            ray.init(**options, logging_level=logging.ERROR, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:300]
        if address is None:
            raise ServingError(f"A Ray cluster must start on this machine. Received: {said}") from error
        raise ServingError(
            f"`--address` must be that of a running Ray cluster. Received: '{address}' ({said}).",
            hint="See where it runs with `ray status`, or leave --address out to start one here.",
        ) from error
    try:
        with _own_stdout():
            yield ray
    finally:
        with _own_signals():
            ray.shutdown()


def _reach(address: str) -> None:
    """Knock at an address: Ray itself tries for ten minutes.

    Raises:
        OSError: Nobody listens there.
        ValueError: It is no address.
    """
    if address == AUTO:
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise ValueError("not HOST:PORT")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS):
        pass


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep the process's signal handlers, some of which Ray replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _WithoutRay:
    """A stream without what Ray's thread for messages writes, such as that a worker died.

    Args:
        stream: Where everything else goes.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        theirs = threading.current_thread().name == "ray_listen_error_messages"
        return len(text) if theirs else self._stream.write(text)


@contextmanager
def _own_stdout() -> Iterator[None]:
    """Keep stdout to the results of a command: Ray writes there whatever `log_to_driver` says."""
    before = sys.stdout
    sys.stdout = _WithoutRay(before)
    try:
        yield
    finally:
        sys.stdout = before
