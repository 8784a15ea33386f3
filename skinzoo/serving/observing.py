"""What happens to requests, told to those that watch: metrics, logs, traces.

Nothing that came with a request is told: no values, no texts of errors, no ids.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import grpc

from skinzoo.serving.faults import log_unexpected

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    """A batch that a request had rows in.

    Args:
        waited: Seconds that the rows waited for it.
        seconds: Seconds that the engine needed for it.
        size: Its rows, those of other requests too.
        first: Whether its first row is this request's, so that one request alone counts it.
    """

    waited: float
    seconds: float
    size: int
    first: bool


@dataclass(kw_only=True)
class Run:
    """A run of a signature.

    Args:
        model: Name of the model.
        version: Its version.
        engine: What ran it.
        rows: Rows of the request; None where it has no rows.
        began: When, in seconds since 1970.
        seconds: How long it took, waiting included.
        batches: Batches that its rows were in; none where it ran by itself.
    """

    model: str
    version: int
    engine: str
    rows: int | None
    began: float = field(default_factory=time.time)
    seconds: float = 0.0
    batches: list[Batch] = field(default_factory=list)


@dataclass(kw_only=True)
class Call:
    """A request.

    Args:
        entrypoint: `GRPC` or `REST`.
        api: What is asked for.
        model: Name of the model that is asked for; empty where it is not known.
        observers: Who is told.
        headers: What came with the request that tells of a trace.
        version: The version that answered; None while there is none.
        code: How it ended.
        began: When, in seconds since 1970.
        seconds: How long it took.
        waited: Seconds that its runs waited for batches.
        notes: What observers keep about it.
    """

    entrypoint: str
    api: str
    model: str = ""
    observers: Sequence[Observer] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    version: int | None = None
    code: grpc.StatusCode = grpc.StatusCode.OK
    began: float = field(default_factory=time.time)
    seconds: float = 0.0
    waited: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Tell that it began."""
        self._tell("started")

    def finish(self, code: grpc.StatusCode | None = None) -> None:
        """Tell that it ended."""
        if code is not None:
            self.code = code
        self.seconds = time.time() - self.began
        self._tell("finished")

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make runs within, in this thread, runs of this call."""
        token = _CALL.set(self)
        try:
            yield
        finally:
            _CALL.reset(token)

    def ran(self, run: Run) -> None:
        """Take a run in, and tell of it."""
        self.model, self.version = run.model, run.version
        self.waited += max((batch.waited for batch in run.batches), default=0.0)
        self._tell("ran", run)

    def _tell(self, what: str, *more: Any) -> None:
        for observer in self.observers:
            try:
                getattr(observer, what)(self, *more)
            except Exception as error:
                # No answer may depend on who watches.
                log_unexpected(_LOG, error)


class Observer:
    """Is told of requests, from many threads; what it does not care about it leaves as it is here."""

    def loaded(self, servable: Any) -> None:
        """Take note of a version that has become available."""

    def started(self, call: Call) -> None:
        """Take note of a request that begins."""

    def ran(self, call: Call, run: Run) -> None:
        """Take note of a run for a request that is under way."""

    def finished(self, call: Call) -> None:
        """Take note of a request that has ended."""

    def close(self) -> None:
        """Write down what is not yet written; nothing more will be told."""


_CALL: ContextVar[Call | None] = ContextVar("call", default=None)
_RUN: ContextVar[Run | None] = ContextVar("run", default=None)


@contextmanager
def running(model: str, version: int, engine: str, inputs: Mapping[str, Any]) -> Iterator[None]:
    """Measure what runs within, as a run of the current call; where there is none, nothing is measured.

    Args:
        model: Name of the model.
        version: Its version.
        engine: What runs it.
        inputs: Its inputs.
    """
    call = _CALL.get()
    if call is None or not call.observers:
        yield
        return
    rows = {value.shape[0] if value.shape else None for value in inputs.values()}
    run = Run(model=model, version=version, engine=engine, rows=rows.pop() if len(rows) == 1 else None)
    token = _RUN.set(run)
    start = time.perf_counter()
    try:
        yield
    finally:
        _RUN.reset(token)
        run.seconds = time.perf_counter() - start
        call.ran(run)


def current_run() -> Run | None:
    """Return the run that is being measured in this thread, for an engine that knows of its batches."""
    return _RUN.get()
