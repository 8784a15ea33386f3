"""Writing down what must not happen, without what was being worked on."""

from __future__ import annotations

import logging
import traceback


def log_unexpected(log: logging.Logger, error: BaseException) -> None:
    """Log where an unexpected error arose.

    Its text is left out: libraries quote the values that they fail on, which may be a patient's.

    Args:
        log: Where to.
        error: The error.
    """
    where = " < ".join(
        f"{frame.filename}:{frame.lineno} {frame.name}"
        for frame in reversed(traceback.extract_tb(error.__traceback__))
    )
    log.error("A request failed unexpectedly: %s at %s", type(error).__name__, where)
