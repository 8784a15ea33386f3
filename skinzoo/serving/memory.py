"""Giving back what an unloaded version held."""

from __future__ import annotations

import ctypes
import gc
import logging
import sys

_LOG = logging.getLogger(__name__)


def give_back() -> None:
    """Free what nothing refers to any more, back to the system where it can be asked to take it."""
    # Graphs and functions of TensorFlow refer to each other, and would wait for a collection by chance.
    gc.collect()
    if sys.platform == "linux":
        try:
            # glibc keeps freed pages of its arenas, which looks like a leak from outside.
            ctypes.CDLL(None).malloc_trim(0)
        except (AttributeError, OSError):
            _LOG.debug("This C library has no malloc_trim")
