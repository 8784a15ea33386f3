"""Run directories: making, finding and listing them; free of TensorFlow."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinzoo.config import RunConfig, from_dict
from skinzoo.errors import ModelError, UsageError, did_you_mean
from skinzoo.files import write_json, write_text
from skinzoo.home import runs_folder
from skinzoo.training.checkpoints import NO_SPACE, CheckpointStore
from skinzoo.training.lock import is_locked

if TYPE_CHECKING:
    from skinzoo.data.splits import Split

CONFIG_FILE = "config.json"
ENVIRONMENT_FILE = "environment.json"
SPLIT_FILE = "split.json"
CLASSES_FILE = "classes.json"
HISTORY_FILE = "history.csv"
MODEL_FILE = "model.keras"
CARD_FILE = "card.json"
FAILURE_FILE = "failure.json"
WEIGHTS_FILE = "weights.json"
CURVES_FILE = "curves.png"
CHECKPOINTS_FOLDER = "checkpoints"
TENSORBOARD_FOLDER = "tensorboard"

FINISHED, RUNNING, STOPPED, FAILED = "finished", "running", "stopped", "failed"
LATEST = "latest"
FORMAT = 1


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Args:
        path: The run directory.
    """

    path: Path

    @property
    def name(self) -> str:
        """The run's name: that of its directory."""
        return self.path.name

    @property
    def checkpoints(self) -> CheckpointStore:
        """Its checkpoints."""
        return CheckpointStore(self.path / CHECKPOINTS_FOLDER)

    @property
    def state(self) -> str:
        """`running`, `finished`, `failed` or `stopped` (to be gone on with)."""
        if is_locked(self.path):
            return RUNNING
        if (self.path / CARD_FILE).exists():
            return FINISHED
        return FAILED if (self.path / FAILURE_FILE).exists() else STOPPED

    def config(self) -> RunConfig:
        """Return the run's configuration.

        Raises:
            ModelError: The file is missing or damaged.
        """
        document = self.document(CONFIG_FILE)
        try:
            return from_dict(document["config"])
        except (KeyError, TypeError, UsageError) as error:
            raise self._damaged(CONFIG_FILE, error) from error

    def resolved(self) -> dict[str, Any]:
        """Return what the run settled before it began: variant, weights, decoding, dataset, notices."""
        resolved: dict[str, Any] = self.document(CONFIG_FILE)["resolved"]
        return resolved

    def classes(self) -> tuple[str, ...]:
        """Return the class names in the order of the model's outputs."""
        return tuple(self.document(CLASSES_FILE))

    def card(self) -> dict[str, Any] | None:
        """Return the card of a finished run, or None."""
        return self.document(CARD_FILE) if (self.path / CARD_FILE).exists() else None

    def check_unfinished(self) -> None:
        """Check that there is something to go on with.

        Raises:
            UsageError: The run is finished.
        """
        if (self.path / CARD_FILE).exists():
            raise UsageError(
                f"A run must be unfinished to go on with. Received: '{self.name}', which is finished.",
                hint=f"Evaluate it with: skinzoo evaluate {self.path}",
            )

    def remove(self) -> None:
        """Remove the directory; whoever looks at it meanwhile finds all of it or nothing."""
        hidden = self.path.with_name(f".{self.name}.{secrets.token_hex(4)}.part")
        with suppress(OSError):
            self.path.rename(hidden)
            shutil.rmtree(hidden, ignore_errors=True)

    def document(self, name: str) -> Any:
        """Read one of the run's JSON files.

        Raises:
            ModelError: It is missing or damaged.
        """
        try:
            return json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(name, error) from error

    def history(self) -> list[dict[str, Any]]:
        """Return the rows of the history, one an epoch."""
        path = self.path / HISTORY_FILE
        if not path.exists():
            return []
        with path.open(encoding="utf-8", newline="") as stream:
            return [{key: _number(value) for key, value in row.items()} for row in csv.DictReader(stream)]

    def write_history(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write the whole history atomically."""
        text = io.StringIO()
        if rows:
            writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        with on_full_disk(self.path):
            write_text(self.path / HISTORY_FILE, text.getvalue())

    def write(self, name: str, value: Any) -> None:
        """Write one of the run's JSON files atomically."""
        with on_full_disk(self.path):
            write_json(self.path / name, value)

    def _damaged(self, name: str, error: Exception) -> ModelError:
        return ModelError(
            f"A run must have a readable {name}. Received: '{self.path}' ({' '.join(str(error).split())}).",
            hint="See which runs there are: skinzoo runs",
        )


@dataclass(frozen=True, kw_only=True)
class RunSummary:
    """One line of a list of runs.

    Args:
        name: Name of the run.
        path: Its directory.
        state: `running`, `finished`, `failed` or `stopped`.
        variant: Name of the variant.
        recipe: Name of the recipe.
        epochs: Epochs done.
        best_epoch: The best one, from 1; None before the first.
        scores: Scores of the best epoch.
        problem: Why the run cannot be read; empty where it can.
    """

    name: str
    path: Path
    state: str
    variant: str = ""
    recipe: str = ""
    epochs: int = 0
    best_epoch: int | None = None
    scores: Mapping[str, float]
    problem: str = ""


def new_name(variant: str, recipe: str, now: datetime | None = None) -> str:
    """Return a name for a new run: variant, recipe and time."""
    return f"{variant}-{recipe}-{(now or datetime.now()):%Y%m%d-%H%M%S}"


def check_name(name: str) -> None:
    """Check the name of a new run.

    Raises:
        UsageError: It is no file name, or means another thing.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,150}", name) or name == LATEST:
        raise UsageError(
            f"`--name` must be letters, digits, '_', '-', '.' and '+', and not '{LATEST}'. "
            f"Received: '{name}'."
        )


def create_run(folder: Path, name: str, documents: Mapping[str, Any], *, split: Split) -> RunFolder:
    """Make a run directory with its first files; it appears complete or not at all.

    Args:
        folder: Folder of runs, made where it does not exist.
        name: Name of the run; a number is added where it is taken.
        documents: File name to JSON value.
        split: The run's split.

    Raises:
        UsageError: The name is no file name.
        ModelError: The folder cannot be written.
    """
    check_name(name)
    temporary = folder / f".{name}.{secrets.token_hex(4)}.part"
    with on_full_disk(folder):
        temporary.mkdir(parents=True)
        try:
            (temporary / CHECKPOINTS_FOLDER).mkdir()
            for file, value in documents.items():
                write_json(temporary / file, value)
            split.save(temporary / SPLIT_FILE)
            for attempt in range(1, 1000):
                path = folder / (name if attempt == 1 else f"{name}-{attempt}")
                if not path.exists():
                    with suppress(FileExistsError):
                        temporary.rename(path)
                        return RunFolder(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    raise ModelError(f"No name is left for a run named '{name}' in {folder}.", hint="Choose another --name.")


class on_full_disk:  # noqa: N801 - reads as a clause after `with`
    """Turn a failed write into the error that says what to do.

    Args:
        folder: What was written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Translate an OSError."""
        if isinstance(error, OSError):
            what = "have room" if error.errno in NO_SPACE else "be writable"
            raise ModelError(
                f"The folder '{self.folder}' must {what}. Received: {error.strerror}.",
                hint="Make room, or choose another folder with --out.",
            ) from error


class NoRoomError(ModelError):
    """A training that a full disk stopped; its run is kept and can be gone on with."""


def no_room_was_left(error: BaseException) -> bool:
    """Return whether a full disk is behind an error."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in NO_SPACE:
            return True
        cause = cause.__cause__
    return False


def find_run(name: str | Path, folder: Path | None = None) -> RunFolder:
    """Find a run by path, name, unique prefix of a name, or `latest`.

    Args:
        name: What the user gave.
        folder: Folder of runs; the usual one unless given.

    Raises:
        UsageError: There is none, or a prefix fits several.
    """
    folder = folder or runs_folder()
    text = str(name)
    path = Path(text).expanduser()
    if (path / CONFIG_FILE).is_file():
        return RunFolder(path.resolve())
    runs = {run.name: run for run in _folders(folder)}
    if text == LATEST and runs:
        return max(runs.values(), key=lambda run: (_begun(run), run.name))
    if text in runs:
        return runs[text]
    fitting = sorted(one for one in runs if text and one.startswith(text))
    if len(fitting) == 1:
        return runs[fitting[0]]
    if fitting:
        raise UsageError(
            f"RUN must fit one run. Received: '{text}', which fits {len(fitting)}: {', '.join(fitting[:5])}"
            f"{', ...' if len(fitting) > 5 else '.'}"
        )
    newest = sorted(runs, key=lambda one: runs[one].path.stat().st_mtime, reverse=True)[:3]
    more = ", ..." if len(runs) > len(newest) else ""
    known = f"Runs in {folder}: {', '.join(newest)}{more}" if runs else f"There are no runs in {folder}."
    raise UsageError(
        f"RUN must be a path, a name, a unique prefix or '{LATEST}'. Received: '{text}'.",
        hint=did_you_mean(text, runs) or known,
    )


def list_runs(folder: Path | None = None) -> list[RunSummary]:
    """Return all runs of a folder, the newest last; damaged ones with their problem."""
    return [
        summarise(run) for run in sorted(_folders(folder or runs_folder()), key=lambda r: (_begun(r), r.name))
    ]


def summarise(run: RunFolder) -> RunSummary:
    """Return what a list of runs shows of a run."""
    try:
        config = run.config()
        history = run.history()
        # A saved ensemble has scores, and no epochs of its own.
        card = None if history else run.card()
    except (ModelError, ValueError) as error:
        return RunSummary(name=run.name, path=run.path, state=FAILED, scores={}, problem=str(error))
    best = best_row(history, config.training.select)
    known = best if best is not None else (card or {}).get("scores", {})
    scores = {key: value for key, value in known.items() if key.startswith("val_")}
    problem = ""
    if run.state == FAILED:
        with suppress(ModelError):
            problem = str(run.document(FAILURE_FILE)["message"])
    return RunSummary(
        name=run.name,
        path=run.path,
        state=run.state,
        variant=config.model.variant,
        recipe=config.recipe,
        epochs=len(history),
        best_epoch=int(best["epoch"]) if best else None,
        scores=scores,
        problem=problem,
    )


def best_row(history: Sequence[Mapping[str, Any]], select: str) -> Mapping[str, Any] | None:
    """Return the first row with the best value of a monitor, or None for an empty history."""
    from skinzoo.settings import MONITORS

    if not history:
        return None
    sign = 1.0 if MONITORS[select] == "max" else -1.0
    return max(history, key=lambda row: (sign * float(row[select]), -int(row["epoch"])))


def _folders(folder: Path) -> list[RunFolder]:
    if not folder.is_dir():
        return []
    return [
        RunFolder(path.resolve())
        for path in folder.iterdir()
        if not path.name.startswith(".") and (path / CONFIG_FILE).is_file()
    ]


def _begun(run: RunFolder) -> str:
    try:
        return str(run.document(ENVIRONMENT_FILE).get("started", ""))
    except (ModelError, AttributeError):
        return ""


def _number(text: str) -> Any:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
