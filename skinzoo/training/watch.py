"""Watching a number over epochs: the best one, and how long it has not improved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from skinzoo.settings import MONITORS


@dataclass
class Watch:
    """The best value of a monitor so far.

    Args:
        monitor: One of `skinzoo.settings.MONITORS`.
        min_delta: Least change that counts as an improvement.
        best: Best value; None before the first.
        epoch: Epoch of the best value, from 1.
        wait: Epochs since then.
    """

    monitor: str
    min_delta: float = 0.0
    best: float | None = None
    epoch: int | None = None
    wait: int = 0

    def update(self, row: dict[str, Any]) -> bool:
        """Take an epoch's row of the history; return whether it is the best so far."""
        value = float(row[self.monitor])
        if self.best is None or self._gain(value) > self.min_delta:
            self.best, self.epoch, self.wait = value, int(row["epoch"]), 0
            return True
        self.wait += 1
        return False

    def as_dict(self) -> dict[str, Any]:
        """Return what must be remembered."""
        return asdict(self)

    def _gain(self, value: float) -> float:
        assert self.best is not None
        return self.best - value if MONITORS[self.monitor] == "min" else value - self.best
