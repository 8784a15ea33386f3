"""What is profiled, and how; free of TensorFlow."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from skinzoo.errors import UsageError, one_of

PRECISIONS = ("float32", "bfloat16", "float16", "auto")
LEAST_REPEATS = 3
"""Repeats of each timing that are made whatever they take."""


@dataclass(frozen=True, kw_only=True)
class ProfileSettings:
    """How every variant of a profile is built and timed.

    Args:
        batch: Images in a batch of throughput and training.
        repeats: Most repeats of each timing.
        seconds: Time after which a timing takes no further repeats, once it has three.
        warm_up: Calls before each timing, which are not timed.
        training: Whether to time training steps.
        timeout: Seconds after which a variant is given up.
        threads: Threads of TensorFlow; 0 leaves it to it.
        precision: Arithmetic, one of `PRECISIONS`.
        choices: What is chosen instead of the variant's own: arguments of `resolve_variant`.

    Raises:
        UsageError: A number outside its range.
    """

    batch: int = 32
    repeats: int = 50
    seconds: float = 10.0
    warm_up: int = 2
    training: bool = True
    timeout: float = 1800.0
    threads: int = 0
    precision: str = "float32"
    choices: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        least = {"batch": 1, "repeats": LEAST_REPEATS, "warm_up": 1, "threads": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise UsageError(f"`{name}` must be at least {bound}. Received: {getattr(self, name)}.")
        for name in ("seconds", "timeout"):
            # Written so that NaN is refused too.
            if not getattr(self, name) > 0:
                raise UsageError(f"`{name}` must be more than 0. Received: {getattr(self, name):g}.")
        if self.precision not in PRECISIONS:
            raise one_of("precision", self.precision, PRECISIONS)

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON."""
        return asdict(self)
