"""Any number of cases through a model on the workers of a Ray cluster, by Ray Data."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, cast

from skinzoo.client.cases import Case, Result
from skinzoo.client.options import ClientOptions
from skinzoo.client.sources import Source
from skinzoo.errors import ServingError
from skinzoo.scale.capacity import capacity_of
from skinzoo.scale.models import SharedModel
from skinzoo.scale.shards import Plan, ShardFolder, fingerprint_of
from skinzoo.scale.worker import Done, Order, Worker, items

SHARD = 256
"""Cases in a shard: a multiple of the usual batch, so that batches are those of one process."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pace:
    """How fast one worker went.

    Args:
        worker: `HOST:PID`.
        cases: Cases that it did.
        loading: Seconds that it took to load the model.
        busy: Seconds at work.
    """

    worker: str
    cases: int
    loading: float
    busy: float

    @property
    def rate(self) -> float:
        """Cases a second while at work."""
        return self.cases / self.busy if self.busy else 0.0


@dataclass
class Session:
    """How fast it went from the workers' start to their last result.

    Args:
        cores: CPUs of each worker.
        seconds: Seconds in all, the loading of the model included.
        done: What became of each shard.
        finished: Whether it came to its end.
    """

    cores: int
    seconds: float = 0.0
    done: list[Done] = field(default_factory=list, repr=False)
    finished: bool = False

    @property
    def cases(self) -> int:
        """Cases that were done."""
        return sum(len(one.rows) for one in self.done)

    @property
    def rate(self) -> float:
        """Cases a second of all workers together."""
        return self.cases / self.seconds if self.seconds else 0.0

    @property
    def paces(self) -> list[Pace]:
        """How fast each worker went."""
        found = []
        for worker in dict.fromkeys(one.worker for one in self.done):
            own = [one for one in self.done if one.worker == worker]
            cases, busy = sum(len(one.rows) for one in own), sum(one.seconds for one in own)
            found.append(Pace(worker, cases, own[0].loading, busy))
        return found

    @property
    def errors(self) -> list[tuple[str, str]]:
        """Ids and errors of the first few cases."""
        return [error for one in self.done for error in one.errors][:5]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data for the manifest."""
        return {
            "ended": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "finished": self.finished,
            "cases": self.cases,
            "seconds": round(self.seconds, 3),
            "cases_per_second": round(self.rate, 3),
            "cores_per_worker": self.cores,
            "workers": [
                {
                    "worker": one.worker,
                    "cases": one.cases,
                    "loading_seconds": round(one.loading, 3),
                    "busy_seconds": round(one.busy, 3),
                    "cases_per_second": round(one.rate, 3),
                }
                for one in self.paces
            ],
        }


class Engine:
    """Workers of a cluster, each with a copy of a model.

    Args:
        ray: The module `ray`, connected.
        workers: Their number; one a core up to a few unless given.

    Raises:
        UsageError: There are more workers than CPUs.
    """

    def __init__(self, ray: Any, workers: int | None = None) -> None:
        self._ray = ray
        capacity = capacity_of(ray)
        self.workers = capacity.workers(workers)
        self.cores = capacity.cores_each(self.workers)
        self._gpus = capacity.gpus_each(self.workers)

    def run(self, order: Order, rows: list[dict[str, Any]]) -> Generator[Done, None, None]:
        """Return what becomes of shards as they are done, in any order.

        A worker that dies is replaced, and its unfinished shards are done again.

        Args:
            order: What is to be done.
            rows: The shards.

        Raises:
            SkinzooError: The model cannot be loaded, or a shard not written.
            ServingError: The cluster failed.
        """
        if not rows:
            return
        from ray import data

        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        workers = min(self.workers, len(rows))
        dataset = data.from_items(rows, override_num_blocks=len(rows)).map(
            cast("Any", Worker),
            fn_constructor_args=(order,),
            # A shard that waited at a worker would be missed by another one that has nothing to do.
            compute=data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1),
            num_cpus=self.cores,
            num_gpus=self._gpus,
        )
        try:
            for row in dataset.iter_rows():
                done: Done = row["done"]
                if done.failure is not None:
                    raise done.failure
                yield done
        except self._ray.exceptions.RayError as error:
            raise ServingError(
                f"The Ray cluster must do its work. Received: {type(error).__name__}: "
                f"{' '.join(str(error).split())[-300:]}",
                hint="What is done is kept; go on with --resume.",
            ) from error

    def results(
        self, model: SharedModel, options: ClientOptions, cases: list[Case]
    ) -> Generator[Result, None, None]:
        """Return one result for each case, in order, as they come.

        Args:
            model: The model.
            options: Batches and terms.
            cases: The cases.
        """
        ranges = [range(start, min(start + SHARD, len(cases))) for start in range(0, len(cases), SHARD)]
        order = Order(model, options, self.cores, str(Path.cwd()))
        early: dict[int, tuple[Result, ...]] = {}
        position = 0
        with closing(self.run(order, list(items(ranges, iter(cases))))) as found:
            for done in found:
                early[done.rows.start] = done.results
                while position in early:
                    ready = early.pop(position)
                    position += len(ready)
                    yield from ready


def plan(model: SharedModel, source: Source, options: ClientOptions, shard: int = SHARD) -> Plan:
    """Return what determines the results of a batch.

    Args:
        model: The model.
        source: The cases.
        options: Batches and terms.
        shard: Cases in a file.
    """
    return Plan(
        inputs=fingerprint_of(source.cases()),
        model=model.name,
        model_fingerprint=model.fingerprint,
        classes=model.classes,
        calibrated=model.calibrated,
        cases=source.total,
        shard=shard,
        batch=options.batch,
        batch_bytes=options.batch_bytes,
        any_term=options.any_term,
    )


def predict(
    engine: Engine,
    model: SharedModel,
    source: Source,
    folder: ShardFolder,
    options: ClientOptions,
    missing: list[range],
    progress: Progress = lambda done, total: None,
) -> Session:
    """Classify the cases that a folder has no results of; its tally counts them.

    Args:
        engine: The workers.
        model: The model.
        source: The cases.
        folder: Where results go, begun with a `plan` of the arguments here.
        options: Batches and terms.
        missing: Rows of the files that are missing.
        progress: Called with the numbers of cases done and of all.

    Raises:
        SkinzooError: The model cannot be loaded, or the cluster failed; what was done is kept.
    """
    order = Order(model, options, engine.cores, str(Path.cwd()), str(folder.path), folder.plan)
    session, tally = Session(engine.cores), folder.tally
    progress(tally.total, source.total)
    began = time.perf_counter()
    try:
        with closing(engine.run(order, list(items(missing, source.cases())))) as found:
            for done in found:
                session.done.append(done)
                tally.failed += done.failed
                tally.answered += len(done.rows) - done.failed
                progress(tally.total, source.total)
        session.finished = True
    finally:
        session.seconds = time.perf_counter() - began
        folder.add(session.to_dict())
    return session
