"""Work of a thread that another one waits for piece by piece."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

POLL_SECONDS = 0.1


class ClosedError(Exception):
    """The work was given up."""


class Stream:
    """Pieces of work that a thread does in order, while others use those that are done.

    Args:
        total: Number of pieces.
        work: Does them all; calls its argument with the number of pieces that it has just done, and leaves
            the exception that this may raise to pass.
        report: Called with the number of pieces done and their total, by whoever waits.
    """

    def __init__(
        self,
        total: int,
        work: Callable[[Callable[[int], None]], None],
        report: Callable[[int, int], None],
    ) -> None:
        self.total = total
        self._work = work
        self._report = report
        self._done = 0
        self._reported = -1
        self._is_closed = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="features")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, count: int, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Return when the first `count` pieces are done; for the thread that the training runs in.

        Args:
            count: Pieces that must be done.
            meanwhile: Called now and then; may raise what ends the waiting.

        Raises:
            BaseException: What the work has failed with.
        """
        while True:
            with self._changed:
                if self._error is None and self._done < count:
                    self._changed.wait(POLL_SECONDS)
                error, done = self._error, self._done
            if error is not None:
                raise error
            if done != self._reported:
                self._reported = done
                self._report(done, self.total)
            if done >= count:
                return
            meanwhile()

    def await_silently(self, count: int) -> None:
        """Return when the first `count` pieces are done; for threads that prepare batches.

        Raises:
            ClosedError: They will not be done.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._done >= count or self._error is not None or self._is_closed)
            if self._done < count:
                raise ClosedError

    def close(self) -> None:
        """Give up what is not done, and return when the thread has ended."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        try:
            with suppress(ClosedError):
                self._work(self._advance)
        except BaseException as error:
            # Whoever waits raises it.
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _advance(self, count: int) -> None:
        with self._changed:
            self._done += count
            self._changed.notify_all()
            if self._is_closed:
                raise ClosedError
