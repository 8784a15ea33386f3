"""Cases in batches of limited count and bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from skinzoo.client.cases import ReadyCase, Result


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
