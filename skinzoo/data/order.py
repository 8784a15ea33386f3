"""In which order the rows of a part are shown in each epoch: a pure function of (seed, epoch).

So a training that was stopped in epoch e after step s goes on with the very rows that would have come next,
without anything but the three numbers having been saved. Random numbers are NumPy's PCG64 seeded with `[seed,
epoch]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from skinzoo.errors import UsageError


class EpochOrder(Protocol):
    """What a pipeline asks for the rows of an epoch."""

    @property
    def length(self) -> int:
        """Rows in an epoch, the same in every epoch."""

    def __call__(self, epoch: int) -> np.ndarray:
        """Return the rows of epoch `epoch`, int64 of shape `(length,)`; a row may repeat or be absent."""


@dataclass(frozen=True)
class Sequential:
    """Every row once, in the table's order: for validation, test and prediction.

    Args:
        length: Number of rows.
    """

    length: int

    def __call__(self, epoch: int) -> np.ndarray:
        """Return 0 to `length - 1`."""
        return np.arange(self.length, dtype=np.int64)


@dataclass(frozen=True)
class Shuffled:
    """Every row once, shuffled anew in each epoch.

    Args:
        length: Number of rows.
        seed: Whole number from 0.
    """

    length: int
    seed: int = 0

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def __call__(self, epoch: int) -> np.ndarray:
        """Return a permutation of the rows."""
        return generator(self.seed, epoch).permutation(self.length).astype(np.int64)


def generator(seed: int, epoch: int) -> np.random.Generator:
    """Return the random generator that belongs to an epoch."""
    return np.random.default_rng([seed, epoch])


def check_seed(seed: int) -> None:
    """Raise a UsageError unless a seed can be used by NumPy and TensorFlow alike."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise UsageError(f"`seed` must be a whole number from 0 to 2^63 - 1. Received: {seed!r}.")
