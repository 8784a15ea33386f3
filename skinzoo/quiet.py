"""Importing Keras and its backend, and running other talkative libraries, without their log lines."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

LEVEL_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
ERRORS_ONLY = "3"
TALKATIVE = ("0", "1")


def import_keras() -> None:
    """Import Keras and its backend; what they log meanwhile is shown only if the import fails.

    TensorFlow 2.21 writes lines about the machine while it is imported, before its own log level counts,
    so that only the file descriptor can be silenced. A user who has set the level to see them does.
    Whatever computes calls this before anything imports Keras.
    """
    os.environ.setdefault(LEVEL_VARIABLE, ERRORS_ONLY)
    if "keras" in sys.modules:
        return
    with silenced(shown_on_failure=True):
        import keras  # noqa: F401


@contextmanager
def silenced(*, shown_on_failure: bool = False) -> Iterator[None]:
    """Keep from stderr what libraries write there, C++ included, unless the user has asked to see it.

    Args:
        shown_on_failure: Whether it is written after all where an error comes out.
    """
    if os.environ.get(LEVEL_VARIABLE) in TALKATIVE:
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        # A process without stderr has nothing to keep quiet.
        yield
        return
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            if shown_on_failure:
                log.seek(0)
                os.write(kept, log.read())
            raise
        finally:
            if sys.stderr is not None:
                sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
