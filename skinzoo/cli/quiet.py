"""Importing Keras and its backend without their log lines."""

from __future__ import annotations

import os
import sys
import tempfile


def import_keras() -> None:
    """Import Keras and its backend; what they log meanwhile is shown only if the import fails.

    TensorFlow 2.21 writes lines about the machine while it is imported, before its own log level counts,
    so that only the file descriptor can be silenced. Commands that compute call this first.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "keras" in sys.modules:
        return
    sys.stderr.flush()
    kept = os.dup(2)
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
