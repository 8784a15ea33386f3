"""Results as files: CSV or JSON lines, one line a case, which is also what a batch is gone on with from.

A process that is killed leaves at most one torn line, the last, which is cut off before the batch goes on.
Line n belongs to case n, and its id and image say so.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from skinzoo.client.cases import Case, Result
from skinzoo.client.model import Model
from skinzoo.errors import DataError, UsageError

CSV, JSONL = "csv", "jsonl"
SUFFIXES = {".csv": CSV, ".jsonl": JSONL, ".ndjson": JSONL}
PROBABILITY, CALIBRATED = "p_", "calibrated_"
_AGAIN = "Start anew with --overwrite, or into another file."


@dataclass
class Tally:
    """How many cases were answered and how many not."""

    answered: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """Both together."""
        return self.answered + self.failed

    def add(self, failed: bool) -> None:
        """Count one."""
        self.failed += failed
        self.answered += not failed


def format_of(path: Path) -> str:
    """Return the format that a file's name stands for.

    Raises:
        UsageError: None.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"The output must end in {', '.join(SUFFIXES)}. Received: '{path}'.")
    return SUFFIXES[path.suffix.lower()]


def header(classes: Iterable[str], format: str, *, calibrated: bool) -> str:
    """Return the first line of a file; empty where the format has none."""
    return "" if format == JSONL else _csv_line(columns(classes, calibrated=calibrated))


def columns(classes: Iterable[str], *, calibrated: bool) -> list[str]:
    """Return the columns of a table of results."""
    classes = list(classes)
    scaled = [f"{CALIBRATED}{name}" for name in classes] if calibrated else []
    probabilities = [f"{PROBABILITY}{name}" for name in classes]
    case = ["id", "image", "predicted_class"]
    return [*case, *probabilities, *scaled, "abstain", "warnings", "model", "error"]


def line(result: Result, classes: Iterable[str], format: str, *, calibrated: bool) -> str:
    """Return the line of one result."""
    model = answered_by(result)
    if format == JSONL:
        return _json_line(result, model)
    classes = list(classes)
    scaled = _numbers(result.calibrated, len(classes)) if calibrated else []
    return _csv_line(
        [
            result.id,
            result.image,
            result.predicted_class,
            *_numbers(result.probabilities, len(classes)),
            *scaled,
            "" if result.abstain is None else str(result.abstain).lower(),
            " ".join(result.warnings),
            model,
            result.error,
        ]
    )


class ResultFile:
    """A file that results are added to.

    Args:
        path: Ends in `.csv` or `.jsonl`.
        resume: Go on with a file that is there.
        overwrite: Replace a file that is there.

    Raises:
        UsageError: The file is there and neither was asked for, another process writes it, or its name stands
            for no format.
        DataError: It cannot be read or written.
    """

    def __init__(self, path: Path, *, resume: bool = False, overwrite: bool = False) -> None:
        self.format = format_of(path)
        self.tally = Tally()
        self.model = ""
        """Model and version of the last answer in the file, `name/version`; empty where there is none."""
        self.path = path
        self._rows: list[tuple[str, str]] = []
        if path.exists() and not (resume or overwrite):
            raise UsageError(
                f"The output must not exist. Received: '{path}'.",
                hint="Go on with it by --resume, or replace it by --overwrite.",
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made = not path.exists()
            self._stream = path.open("x+b" if self._made else "r+b")
        except OSError as error:
            raise DataError(f"The output must be writable. Received: '{path}' ({error.strerror}).") from error
        try:
            _lock(self._stream, path)
            # What is replaced stays until there is a model to answer anew.
            self._replace = overwrite
            self._header = "" if overwrite else self._read()
        except BaseException:
            self._stream.close()
            raise

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()
        empty = self._stream.tell() == 0
        os.fsync(self._stream.fileno())
        self._stream.close()
        if self._made and empty:
            # Nothing came of it, so the same command must do when it is given again.
            self.path.unlink(missing_ok=True)

    def begin(self, cases: Iterator[Case], model: Model) -> None:
        """Take the cases off that the file has results of, and write the header of a new file.

        Args:
            cases: All cases; those that are done are taken from it.
            model: The model that answers.

        Raises:
            UsageError: The file is of other cases or of another model.
        """
        self._classes, self._calibrated = model.classes, model.has_calibration
        wanted = header(self._classes, self.format, calibrated=self._calibrated)
        if self.model and self.model != str(model):
            raise UsageError(
                f"--resume must go on with the model that began. Received: '{model}' for '{self.path}', "
                f"which holds answers of '{self.model}'.",
                hint=_AGAIN,
            )
        for number, row in enumerate(self._rows):
            case = next(cases, None)
            if case is None or row != (_flat(case.id), _flat(case.source)):
                raise UsageError(
                    f"--resume must go on with the same cases. Received: '{self.path}', whose result "
                    f"{number + 1} is of '{row[0]}' and not of "
                    f"{'any case' if case is None else repr(case.id)}.",
                    hint=_AGAIN,
                )
        if self._header and self._header != wanted:
            raise UsageError(
                f"--resume must go on with a model of the same classes. Received: '{self.path}' with other "
                "columns.",
                hint=_AGAIN,
            )
        if self._replace:
            self._stream.truncate(0)
        if wanted and not self._header:
            self._stream.write(wanted.encode())

    def write(self, result: Result) -> None:
        """Add a result and hand it to the system, which keeps it whatever becomes of this process."""
        text = line(result, self._classes, self.format, calibrated=self._calibrated)
        self._stream.write(text.encode())
        self._stream.flush()
        self.tally.add(failed=not result.ok)

    def _read(self) -> str:
        """Read what is there, cut a torn line off, and return the header."""
        content = self._stream.read()
        whole = content.rfind(b"\n") + 1
        self._stream.seek(whole)
        self._stream.truncate()
        try:
            lines = content[:whole].decode("utf-8").split("\n")[:-1]
            first = lines.pop(0) + "\n" if lines and self.format == CSV else ""
            rows = list(_parsed(lines, first, self.format))
        except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
            raise DataError(
                f"--resume must go on with a file of results. Received: '{self.path}' ({error}).",
                hint=_AGAIN,
            ) from error
        for row in rows:
            self._rows.append((row["id"], row["image"]))
            self.tally.add(failed=bool(row["error"]))
            self.model = row["model"] or self.model
        return first


def _parsed(lines: list[str], first: str, format: str) -> Iterator[dict[str, Any]]:
    if format == JSONL:
        for text in lines:
            row = json.loads(text)
            yield {name: row[name] or "" for name in ("id", "image", "error", "model")}
        return
    columns = next(csv.reader([first]), [])
    if lines and not {"id", "image", "error", "model"} <= set(columns):
        raise ValueError("no columns of results")
    for text in lines:
        cells = next(csv.reader([text]))
        yield dict(zip(columns, cells, strict=True))


def _json_line(result: Result, model: str) -> str:
    document = {
        "id": _flat(result.id),
        "image": _flat(result.image),
        "predicted_class": result.predicted_class or None,
        "probabilities": _by_class(result.classes, result.probabilities),
        "calibrated": _by_class(result.classes, result.calibrated),
        "abstain": result.abstain,
        "warnings": list(result.warnings),
        "model": model or None,
        "error": result.error or None,
    }
    return json.dumps(document, ensure_ascii=False, allow_nan=False) + "\n"


def _by_class(classes: tuple[str, ...], values: tuple[float, ...]) -> dict[str, float] | None:
    if not values:
        return None
    return {name: float(f"{value:.9g}") for name, value in zip(classes, values, strict=True)}


def _csv_line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow([_flat(cell) for cell in cells])
    return out.getvalue()


def _numbers(values: tuple[float, ...], count: int) -> list[str]:
    # Nine digits tell any two float32 apart.
    return [f"{value:.9g}" for value in values] or [""] * count


def answered_by(result: Result) -> str:
    """Return name and version of the model that gave a result; empty where none did."""
    return f"{result.model}/{result.version}" if result.model and result.version else result.model


def _flat(text: str) -> str:
    """Return a text without line breaks, so that a line of the file is a row."""
    return " ".join(text.splitlines())


def _lock(stream: Any, path: Path) -> None:
    try:
        import fcntl
    except ModuleNotFoundError:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(f"The output must not be written by another process. Received: '{path}'.") from error
    except OSError:
        # A file system without locks.
        return
