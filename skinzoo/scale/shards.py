"""A folder of results in Parquet files, each of fixed rows; what is missing is all that a restart does.

A name tells the rows that a file covers, and the names' order is that of the cases. A file comes by renaming,
so it is whole or not there. Each carries the key of the cases and the model that it is of; `_manifest.json`
says the same in words, and how fast it went. Readers of Parquet folders leave out names with an underscore.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from skinzoo import __version__
from skinzoo.client.cases import Result
from skinzoo.client.outputs import CALIBRATED, PROBABILITY, Tally, answered_by, columns
from skinzoo.errors import DataError, UsageError
from skinzoo.extras import require
from skinzoo.files import replacing, write_json

MANIFEST_FILE = "_manifest.json"
PATTERN = "cases-*.parquet"
_METADATA = b"skinzoo"
_AGAIN = "Start anew with --overwrite, or into another folder."


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What determines the results and how they are shared out.

    Args:
        inputs: Fingerprint of the cases.
        model: Name and version of the model.
        model_fingerprint: Fingerprint of its files.
        classes: Class names in the order of the probabilities.
        calibrated: Whether results carry calibrated probabilities.
        cases: Number of all cases.
        shard: Cases in a file; the last has what is left.
        batch: Most cases in a step.
        batch_bytes: Most bytes of images in a step.
        any_term: Whether terms may be unknown to the model.
    """

    inputs: str
    model: str
    model_fingerprint: str
    classes: tuple[str, ...]
    calibrated: bool
    cases: int
    shard: int
    batch: int
    batch_bytes: int
    any_term: bool

    @property
    def key(self) -> str:
        """SHA-256 of all of it."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def ranges(self) -> list[range]:
        """Return the rows of each file."""
        starts = range(0, self.cases, self.shard)
        return [range(start, min(start + self.shard, self.cases)) for start in starts]


def name_of(rows: range) -> str:
    """Return the name of the file of rows."""
    return f"cases-{rows.start:09d}-{rows.stop - 1:09d}.parquet"


def write_shard(folder: Path, plan: Plan, rows: range, results: Sequence[Result]) -> None:
    """Write the results of rows, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet

    texts = {
        "id": [one.id for one in results],
        "image": [one.image for one in results],
        "predicted_class": [one.predicted_class or None for one in results],
        "warnings": [" ".join(one.warnings) for one in results],
        "model": [answered_by(one) or None for one in results],
        "error": [one.error or None for one in results],
    }
    arrays: dict[str, Any] = {name: pa.array(values, pa.string()) for name, values in texts.items()}
    arrays["abstain"] = pa.array([one.abstain for one in results], pa.bool_())
    for place, name in enumerate(plan.classes):
        found = {PROBABILITY: [one.probabilities for one in results]}
        if plan.calibrated:
            found[CALIBRATED] = [one.calibrated for one in results]
        for prefix, values in found.items():
            column = [row[place] if row else None for row in values]
            arrays[prefix + name] = pa.array(column, pa.float64())
    table = pa.table({name: arrays[name] for name in columns(plan.classes, calibrated=plan.calibrated)})
    said = {"key": plan.key, "first": rows.start, "failed": sum(not one.ok for one in results)}
    table = table.replace_schema_metadata({_METADATA: json.dumps(said).encode()})
    with replacing(folder / name_of(rows)) as path:
        pa.parquet.write_table(table, path)


def failed_in(folder: Path, plan: Plan, rows: range) -> int:
    """Return how many cases have an error in the file of rows, which is there.

    Raises:
        UsageError: It is of other cases, of another model or otherwise made.
    """
    import pyarrow as pa
    import pyarrow.parquet

    path = folder / name_of(rows)
    try:
        found = pa.parquet.read_metadata(path)
        said = json.loads((found.metadata or {})[_METADATA])
        fits = (said["key"], said["first"], found.num_rows) == (plan.key, rows.start, len(rows))
        failed = int(said["failed"])
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise _other(path, f"no results that can be read: {error}") from error
    if not fits:
        raise _other(path, "results of other cases or of another model")
    return failed


class ShardFolder:
    """The folder, held by one process at a time.

    Args:
        path: The folder.
        resume: Go on with what is there.
        overwrite: Replace results that are there.

    Raises:
        UsageError: There are results and neither was asked for, something else is there, or another process
            writes it.
        DataError: It cannot be written.
        MissingExtraError: pyarrow is not installed.
    """

    def __init__(self, path: Path, *, resume: bool = False, overwrite: bool = False) -> None:
        require("pyarrow", extra="ray", purpose="`--ray`")
        self.path = path.expanduser().resolve()
        self.tally = Tally()
        self.plan: Plan
        self._overwrite = overwrite
        self._sessions: list[dict[str, Any]] = []
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"--to must be a folder with --ray. Received: the file '{path}'.")
        if overwrite and self._there() and not (self.path / MANIFEST_FILE).is_file():
            raise UsageError(
                f"--overwrite must replace a folder of results. Received: '{path}' without {MANIFEST_FILE}.",
                hint="Choose another folder.",
            )
        if self._there() and not (resume or overwrite):
            raise UsageError(
                f"The output must not exist. Received: '{path}'.",
                hint="Go on with it by --resume, or replace it by --overwrite.",
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise DataError(f"The output must be writable. Received: '{path}' ({error.strerror}).") from error
        _hold(self._lock, path)

    def __enter__(self) -> ShardFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.path.is_dir() and not any(self.path.glob(PATTERN)):
            # Nothing came of it, so the same command must do when it is given again.
            (self.path / MANIFEST_FILE).unlink(missing_ok=True)
            with suppress(OSError):
                self.path.rmdir()
        os.close(self._lock)

    def begin(self, plan: Plan) -> list[range]:
        """Return the rows of the files that are missing, and state in the manifest what the folder is of.

        Raises:
            UsageError: The files that are there are of other cases, of another model or otherwise made.
        """
        self.plan = plan
        if self._overwrite:
            for path in self.path.glob(PATTERN):
                path.unlink()
        else:
            self._check_manifest()
        missing = []
        wanted = {name_of(rows): rows for rows in plan.ranges()}
        for path in self.path.glob(PATTERN):
            if path.name not in wanted:
                raise _other(path, "rows that are not to be")
        for name, rows in wanted.items():
            if (self.path / name).exists():
                failed = failed_in(self.path, plan, rows)
                self.tally.failed += failed
                self.tally.answered += len(rows) - failed
            else:
                missing.append(rows)
        self._write()
        return missing

    def add(self, session: dict[str, Any]) -> None:
        """Keep in the manifest how fast a session went."""
        self._sessions.append(session)
        self._write()

    def _there(self) -> bool:
        return self.path.exists() and any(self.path.iterdir())

    def _check_manifest(self) -> None:
        path = self.path / MANIFEST_FILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            stated, sessions = found["plan"], found["sessions"]
        except FileNotFoundError:
            if self._there():
                raise _other(self.path, f"no {MANIFEST_FILE}") from None
            return
        except (ValueError, KeyError, TypeError) as error:
            raise _other(path, f"no manifest: {error}") from error
        for name, value in json.loads(json.dumps(asdict(self.plan))).items():
            if stated.get(name) != value:
                told = (
                    "" if "fingerprint" in name or name == "inputs" else f": {stated.get(name)}, not {value}"
                )
                raise _other(self.path, f"results of another `{name}`{told}")
        self._sessions = sessions

    def _write(self) -> None:
        write_json(
            self.path / MANIFEST_FILE,
            {
                "plan": asdict(self.plan),
                "key": self.plan.key,
                "skinzoo": __version__,
                "sessions": self._sessions,
            },
        )


def fingerprint_of(cases: Iterator[Any]) -> str:
    """Return the SHA-256 of all that cases state, and of the sizes of their images.

    What is in an image file is not read, which would take as long as classifying it.
    """
    total = hashlib.sha256()
    for case in cases:
        if isinstance(case.image, bytes):
            image = hashlib.sha256(case.image).hexdigest()
        else:
            path = Path(case.source)
            image = str(path.stat().st_size) if case.source and path.is_file() else ""
        stated = (case.id, case.source, image, case.age, case.sex, case.localization, case.problem)
        total.update(json.dumps([str(one) for one in stated]).encode())
    return total.hexdigest()


def _other(path: Path, received: str) -> UsageError:
    return UsageError(
        f"--resume must go on with results of these cases by this model. Received: '{path}' with {received}.",
        hint=_AGAIN,
    )


def _hold(folder: int, path: Path) -> None:
    try:
        import fcntl

        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(folder)
        raise UsageError(f"The output must not be written by another process. Received: '{path}'.") from error
    except (ModuleNotFoundError, OSError):
        # A system or a file system without locks.
        return
