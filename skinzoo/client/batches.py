"""Cases in batches, several under way at a time, results in the order of the cases."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from skinzoo.client.cases import ReadyCase, Result

T = TypeVar("T")
R = TypeVar("R")
_POLL_SECONDS = 0.1


@dataclass
class Batch:
    """Consecutive cases: those to send, and the results of those that cannot be sent.

    Args:
        slots: One for each case, in order.
        size: Bytes of the images.
    """

    slots: list[ReadyCase | Result] = field(default_factory=list)
    size: int = 0

    @property
    def cases(self) -> list[ReadyCase]:
        """The cases to send."""
        return [slot for slot in self.slots if isinstance(slot, ReadyCase)]

    def merged(self, answers: Sequence[Result]) -> list[Result]:
        """Return one result for each case, given those of the cases that were sent."""
        left = iter(answers)
        return [next(left) if isinstance(slot, ReadyCase) else slot for slot in self.slots]


class Batcher:
    """Gathers batches of limited count and bytes.

    Args:
        count: Most cases in a batch.
        size: Most bytes of images in a batch; a larger image makes a batch of its own.
    """

    def __init__(self, count: int, size: int) -> None:
        self._count = count
        self._size = size
        self._batch = Batch()

    def add(self, slot: ReadyCase | Result) -> list[Batch]:
        """Take a case; return the batches that are full now, none, one or two."""
        size = len(slot.image) if isinstance(slot, ReadyCase) else 0
        full = self.rest() if self._batch.size and self._batch.size + size > self._size else []
        self._batch.slots.append(slot)
        self._batch.size += size
        if len(self._batch.slots) >= self._count or self._batch.size >= self._size:
            full += self.rest()
        return full

    def rest(self) -> list[Batch]:
        """Return what is left as a batch; nothing where nothing is."""
        batch, self._batch = self._batch, Batch()
        return [batch] if batch.slots else []


def batches(slots: Iterable[ReadyCase | Result], count: int, size: int) -> Iterator[Batch]:
    """Return cases in batches; see `Batcher`."""
    batcher = Batcher(count, size)
    for slot in slots:
        yield from batcher.add(slot)
    yield from batcher.rest()


def in_order(items: Iterable[T], work: Callable[[T], R], in_flight: int) -> Iterator[R]:
    """Work on items in threads and return the results in the order of the items.

    Items are taken by a thread of their own, a few ahead of the work; so results come as soon as they can
    even where the next item is yet to come.

    Args:
        items: What to work on.
        work: Called in a thread for each.
        in_flight: Number of threads.

    Raises:
        Exception: What `items` or `work` raises, in its place in the order.
    """
    stopped = threading.Event()
    waiting: queue.Queue[Future[R] | None] = queue.Queue(maxsize=in_flight)
    pool = ThreadPoolExecutor(in_flight, thread_name_prefix="skinzoo-client")

    def put(future: Future[R] | None) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                waiting.put(future, timeout=_POLL_SECONDS)
                return

    def feed() -> None:
        try:
            for item in items:
                if stopped.is_set():
                    return
                put(pool.submit(work, item))
        except BaseException as error:  # It belongs to the thread that takes the results.
            failed: Future[R] = Future()
            failed.set_exception(error)
            put(failed)
        put(None)

    threading.Thread(target=feed, name="skinzoo-client-feed", daemon=True).start()
    try:
        while (future := waiting.get()) is not None:
            yield future.result()
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
