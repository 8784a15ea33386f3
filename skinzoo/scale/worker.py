"""What runs on a cluster: a process that loads a model once and classifies one shard after another."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skinzoo.client.cases import Case, Result
from skinzoo.client.local import LocalPredictor
from skinzoo.client.options import ClientOptions
from skinzoo.errors import SkinzooError
from skinzoo.quiet import import_keras
from skinzoo.scale.models import SharedModel
from skinzoo.scale.shards import Plan, failed_in, name_of, write_shard

_ERRORS = 5


@dataclass(frozen=True)
class Order:
    """What every worker needs to know.

    Args:
        model: The model.
        options: Batches and terms.
        cores: CPUs of a worker.
        here: Directory that relative paths of images start from.
        folder: Where shards go; None where the results are wanted themselves.
        plan: What shards are of; None likewise.
    """

    model: SharedModel
    options: ClientOptions
    cores: int
    here: str
    folder: str | None = None
    plan: Plan | None = None


@dataclass(frozen=True)
class Shard:
    """What a worker does at a time.

    Args:
        rows: The rows that it covers.
        cases: Their cases, as paths rather than pixels.
    """

    rows: range
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Done:
    """What became of one shard.

    Args:
        rows: The rows that it covers.
        worker: Who did it, `HOST:PID`.
        loading: Seconds that this worker took to load the model.
        seconds: Seconds from the shard's first case to its file.
        failed: Cases with an error.
        errors: Ids and errors of the first few.
        results: The results where no file was to be written.
        failure: Why nothing could be done.
    """

    rows: range
    worker: str
    loading: float
    seconds: float = 0.0
    failed: int = 0
    errors: tuple[tuple[str, str], ...] = ()
    results: tuple[Result, ...] = field(default=(), repr=False)
    failure: SkinzooError | None = None


class Worker:
    """Rows of a Ray dataset, each a shard, through a model.

    Args:
        order: What is to be done.
    """

    def __init__(self, order: Order) -> None:
        began = time.perf_counter()
        self._order = order
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._failure: SkinzooError | None = None
        self._predictor: LocalPredictor | None = None
        with suppress(OSError):
            os.chdir(order.here)
        _use(order.cores)
        try:
            self._predictor = order.model.open(order.options)
        except SkinzooError as error:
            # An error of the constructor would be tried again and come out as one of Ray's.
            self._failure = error
        self._loading = time.perf_counter() - began

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Classify the cases of a row and say what became of them."""
        shard: Shard = row["shard"]
        return {"done": self._done(shard.rows, shard.cases)}

    def _done(self, rows: range, cases: Sequence[Case]) -> Done:
        if self._predictor is None:
            return Done(rows, self._name, self._loading, failure=self._failure)
        folder, plan = self._order.folder, self._order.plan
        began = time.perf_counter()
        try:
            if folder is None or plan is None:
                results = tuple(self._predictor.classify_many(cases))
                return self._told(rows, began, results, kept=results)
            if (Path(folder) / name_of(rows)).exists():
                # By a worker that died before it could say so.
                failed = failed_in(Path(folder), plan, rows)
                return Done(rows, self._name, self._loading, failed=failed)
            results = tuple(self._predictor.classify_many(cases))
            write_shard(Path(folder), plan, rows, results)
            return self._told(rows, began, results)
        except SkinzooError as error:
            return Done(rows, self._name, self._loading, failure=error)

    def _told(
        self, rows: range, began: float, results: tuple[Result, ...], kept: tuple[Result, ...] = ()
    ) -> Done:
        bad = [(one.id, one.error) for one in results if not one.ok]
        return Done(
            rows,
            self._name,
            self._loading,
            time.perf_counter() - began,
            failed=len(bad),
            errors=tuple(bad[:_ERRORS]),
            results=kept,
        )


def items(ranges: Iterable[range], cases: Iterator[Case]) -> Iterator[dict[str, Any]]:
    """Return rows of a Ray dataset, each a shard.

    Args:
        ranges: Rows of the shards, in order.
        cases: All cases.
    """
    position = 0
    for rows in ranges:
        while position < rows.start:
            next(cases)
            position += 1
        found = [next(cases) for _ in rows]
        position = rows.stop
        yield {"shard": Shard(rows, tuple(found))}


def _use(cores: int) -> None:
    """Let TensorFlow have so many threads and no more, and only the GPU memory that it needs."""
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    import_keras()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(cores)
    tf.config.threading.set_inter_op_parallelism_threads(cores)
