"""Importing Keras and its backend without their log lines."""

from __future__ import annotations

import os
import sys
import tempfile

LEVEL_VARIABLE = "TF_CPP_MIN_LOG_LEVEL"
ERRORS_ONLY = "3"
TALKATIVE = ("0", "1")


def import_keras() -> None:
    """Import Keras and its backend; what they log meanwhile is shown only if the import fails.

    TensorFlow 2.21 writes lines about the machine while it is imported, before its own log level counts,
    so that only the file descriptor can be silenced. A user who has set the level to see them does.
    Whatever computes calls this before anything imports Keras.
    """
    level = os.environ.setdefault(LEVEL_VARIABLE, ERRORS_ONLY)
    if "keras" in sys.modules:
        return
    if level in TALKATIVE:
        import keras

        return
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        # A process without stderr has nothing to keep quiet.
        import keras

        return
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            import keras  # noqa: F401
        except BaseException:
            log.seek(0)
            os.write(kept, log.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
