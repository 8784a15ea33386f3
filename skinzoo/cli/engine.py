"""Options of `skinzoo serve` that choose the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skinzoo.errors import one_of

if TYPE_CHECKING:
    from skinzoo.serving.engines import EngineOptions

# TensorFlow Serving's name of it.
_BFLOAT16 = "bfloat16"


def options_of_engine(engine: str, mixed_precision: str | None, *, threads: int) -> EngineOptions:
    """Return what executes exports, of what was given on the command line.

    Raises:
        UsageError: There is no such engine or precision, or they do not go together.
        MissingExtraError: It is not installed.
    """
    from skinzoo.serving.engines import BF16, F32, EngineOptions

    if mixed_precision not in (None, _BFLOAT16):
        raise one_of("--mixed-precision", mixed_precision, [_BFLOAT16])
    return EngineOptions(name=engine, precision=BF16 if mixed_precision else F32, threads=threads)
