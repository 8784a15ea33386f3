"""How long a step takes, without the first ones, in which TensorFlow traces and compiles."""

from __future__ import annotations

import time

LEFT_OUT = 2
LEAST = 3


class Pace:
    """Measures steps; says nothing until a few have been measured."""

    def __init__(self) -> None:
        self._left_out = LEFT_OUT
        self._steps = 0
        self._seconds = 0.0
        self._last = time.monotonic()

    def begin(self) -> None:
        """Start the clock: what came since the last step is none."""
        self._last = time.monotonic()

    def stepped(self) -> None:
        """Take the end of a step."""
        now = time.monotonic()
        if self._left_out:
            self._left_out -= 1
        else:
            self._steps += 1
            self._seconds += now - self._last
        self._last = now

    @property
    def seconds_per_step(self) -> float | None:
        """Mean over the steps measured; None while they are too few."""
        return self._seconds / self._steps if self._steps >= LEAST else None
