"""Epochs of another length than one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skinzoo.data.order import EpochOrder


@dataclass(frozen=True)
class FixedLength:
    """A given number of rows an epoch: the beginning of one pass, or several passes.

    Args:
        order: Rows of a pass.
        length: Rows of an epoch.
    """

    order: EpochOrder
    length: int

    def __call__(self, epoch: int) -> np.ndarray:
        """Return the rows of an epoch; each epoch draws its own passes."""
        passes = -(-self.length // self.order.length)
        rows = [self.order(epoch * passes + number) for number in range(passes)]
        return np.concatenate(rows)[: self.length]
