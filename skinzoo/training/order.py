"""Which rows, and which features of theirs, an epoch shows: pure functions of seed and epoch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skinzoo.data.order import EpochOrder, generator

VIEW_STREAM = 0x71E3


@dataclass(frozen=True)
class FixedLength:
    """A given number of rows an epoch; each goes on in the pass where the one before has ended.

    Args:
        order: Rows of a pass.
        length: Rows of an epoch.
    """

    order: EpochOrder
    length: int

    def __call__(self, epoch: int) -> np.ndarray:
        """Return the rows of an epoch, which may belong to several passes."""
        return rows_of_passes(self.order, epoch * self.length + np.arange(self.length))


@dataclass(frozen=True)
class FeatureOrder:
    """Which features each epoch shows, begun before all of them are computed.

    At first every second place shows a feature that was not shown before: those of the first view, row by row
    in the order of the first pass, then those of the second view in the order of the second pass, and so on.
    The places between show one drawn from those before. Once all have been shown, each pass shows each of its
    rows by a view drawn at random.

    Args:
        order: Rows of a pass.
        views: Views of each row.
        length: Places of an epoch.
        seed: Seed of what is drawn.
    """

    order: EpochOrder
    views: int
    length: int
    seed: int = 0

    def __call__(self, epoch: int) -> np.ndarray:
        """Return view and row of each place of an epoch, int64 of shape `(length, 2)`."""
        count = self.order.length * self.views
        places = epoch * self.length + np.arange(self.length)
        random = generator(self.seed + VIEW_STREAM, epoch).random(self.length)
        numbers = np.where(places < 2 * count, places // 2, places - count)
        drawn = (places < 2 * count) & (places % 2 == 1)
        numbers[drawn] = (random * (numbers + 1)).astype(np.int64)[drawn]
        views = np.where(
            numbers < count, numbers // self.order.length, (random * self.views).astype(np.int64)
        )
        return np.stack([views, rows_of_passes(self.order, numbers)], axis=1)


@dataclass(frozen=True)
class FirstView:
    """The first view of every row once, in the table's order.

    Args:
        length: Number of rows.
    """

    length: int

    def __call__(self, epoch: int) -> np.ndarray:
        """Return view and row of each place, int64 of shape `(length, 2)`."""
        rows = np.arange(self.length)
        return np.stack([np.zeros_like(rows), rows], axis=1)


def rows_of_passes(order: EpochOrder, places: np.ndarray) -> np.ndarray:
    """Return the rows at some places of endless passes, one behind the other.

    Args:
        order: Rows of a pass.
        places: int64 of any order, from 0.
    """
    passes, within = np.divmod(places, order.length)
    rows = np.empty_like(places)
    for number in np.unique(passes):
        inside = passes == number
        rows[inside] = order(int(number))[within[inside]]
    return rows
