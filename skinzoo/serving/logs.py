"""What the server writes to its log, as text or as a JSON object a line.

A call is written down by what it asked for and how it ended. What came with it, the text of its error
included, is a patient's and stays out; so does the text of an unexpected exception, which may quote it.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone

from skinzoo.serving.observing import Call, Observer, Run

TEXT, JSON = "text", "json"
FORMATS = (TEXT, JSON)
_LOG = logging.getLogger(__name__)
# Loggers whose lines are the server's own.
_LOGGERS = ("skinzoo", "uvicorn")


class CallLog(Observer):
    """Writes a line for every call."""

    def ran(self, call: Call, run: Run) -> None:
        """Count rows of a run."""
        call.notes["rows"] = call.notes.get("rows", 0) + (run.rows or 0)

    def finished(self, call: Call) -> None:
        """Write a call down."""
        fields = {
            "entrypoint": call.entrypoint,
            "api": call.api,
            # A name that no version has could be anything that a caller wrote.
            "model": call.model if call.version is not None else None,
            "version": call.version,
            "rows": call.notes.get("rows"),
            "code": call.code.name,
            "seconds": round(call.seconds, 6),
            "waited": round(call.waited, 6),
        }
        _LOG.info("call", extra={"fields": {key: one for key, one in fields.items() if one is not None}})


class JsonFormatter(logging.Formatter):
    """A JSON object a line: time, level, logger, message, and the fields of a call."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record."""
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        found = {
            "time": time,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            found["exception"] = record.exc_info[0].__name__
        return json.dumps(found, ensure_ascii=False)


def log_as_json() -> None:
    """Write the log of the server to stderr, a JSON object a line."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO if name == "skinzoo" else logging.WARNING)
        logger.propagate = False
