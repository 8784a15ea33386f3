"""Work in several threads with results in the order of what was worked on."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_POLL_SECONDS = 0.1


def in_order(items: Iterable[T], work: Callable[[T], R], in_flight: int) -> Generator[R, None, None]:
    """Work on items in threads and return the results in the order of the items.

    Items are taken by a thread of their own, a few ahead of the work; so a result comes as soon as it can
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
    pool = ThreadPoolExecutor(in_flight, thread_name_prefix="skinzoo-work")
    # So that work is measured as part of the call that it is for.
    context = contextvars.copy_context()

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
                put(pool.submit(context.copy().run, work, item))
        except BaseException as error:  # It belongs to the thread that takes the results.
            failed: Future[R] = Future()
            failed.set_exception(error)
            put(failed)
        put(None)

    threading.Thread(target=feed, name="skinzoo-feed", daemon=True).start()
    try:
        while (future := waiting.get()) is not None:
            yield future.result()
    finally:
        stopped.set()
        pool.shutdown(wait=False, cancel_futures=True)
