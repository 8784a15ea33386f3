"""Evaluated runs as they lie on disk: those of a folder of runs, and folders with a card and an evaluation.

A run keeps its evaluations under `evaluation/`; a folder of results holds `card.json` and `evaluation.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinzoo.data.protocols import LEAKY, SELECTION_ON_TEST
from skinzoo.data.table import PARTS
from skinzoo.errors import DataError, SkinzooError, UsageError, one_of
from skinzoo.evaluation.definitions import of_class
from skinzoo.evaluation.intervals import Interval
from skinzoo.evaluation.report import JSON
from skinzoo.training.runs import (
    CARD_FILE,
    CONFIG_FILE,
    FINISHED,
    RUNNING,
    SPLIT_FILE,
    RunFolder,
    find_run,
)

EXTERNAL = "external"
EVALUATION_FOLDER, EVALUATION_FILE, PREDICTIONS_FILE = "evaluation", "evaluation.json", "predictions.csv"


@dataclass(frozen=True)
class Entry:
    """One evaluation of a run.

    Args:
        name: Name of the run, with what was done to the images at prediction.
        path: The run directory or the folder of results.
        provenance: What the evaluation says about where it comes from.
        cases: Images.
        support: Images of each class.
        values: Flat metric name to value, None where it is undefined.
        intervals: Flat metric name to its interval, None where there is none.
        unit: What the intervals were drawn over.
        level: Their coverage.
        card: The run's card.
        predictions: File of the predictions, None where there is none.
    """

    name: str
    path: Path
    provenance: Mapping[str, Any]
    cases: int
    support: Mapping[str, int]
    values: Mapping[str, float | None]
    intervals: Mapping[str, Interval | None]
    unit: str
    level: float
    card: Mapping[str, Any]
    predictions: Path | None

    @property
    def protocol(self) -> str:
        """Name of the protocol."""
        return str(self.provenance["protocol"])

    @property
    def ensemble(self) -> bool:
        """Whether it is several networks, for which neither papers nor profiles have a number."""
        return bool(self.card.get("ensemble"))

    @property
    def external(self) -> bool:
        """Whether the cases are not of the run's own data."""
        return self.protocol == EXTERNAL

    @property
    def split(self) -> tuple[str, ...]:
        """What must be the same for two scores to stand in one list: the split and its part.

        For external data, dataset and images of each class.
        """
        if self.external:
            counts = ",".join(f"{name}={count}" for name, count in sorted(self.support.items()))
            return EXTERNAL, str(self.provenance["dataset"]), counts
        return str(self.provenance["split_hash"]), str(self.provenance["part"])

    @property
    def marks(self) -> tuple[str, ...]:
        """Why its scores are too high: stamps of the split, and the part; empty where they are honest."""
        found = [stamp for stamp in (LEAKY, SELECTION_ON_TEST) if stamp in self.provenance["stamps"]]
        if self.provenance["part"] == PARTS[0]:
            found.append("trained on")
        return tuple(found)


@dataclass(frozen=True)
class Left:
    """A run that cannot be listed.

    Args:
        name: Its name.
        path: Its directory.
        reason: Why.
        command: What makes it listable; empty where nothing does.
    """

    name: str
    path: Path
    reason: str
    command: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}." + (f" Run: {self.command}" if self.command else "")

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"name": self.name, "path": str(self.path), "reason": self.reason, "command": self.command}


def entries_of(names: Sequence[str], part: str = "test") -> tuple[list[Entry], list[Left]]:
    """Find the evaluations of runs that a user named.

    Args:
        names: Runs by path, name, unique prefix or `latest`, or folders of results.
        part: `train`, `validation`, `test`, or `external`.

    Raises:
        UsageError: There is no such run or part.
        DataError: An evaluation cannot be read.
    """
    _check_part(part)
    entries: list[Entry] = []
    left: list[Left] = []
    paths = [
        Path(name).expanduser().resolve() if _holds_results(Path(name).expanduser()) else find_run(name).path
        for name in names
    ]
    for path in dict.fromkeys(paths):
        found = read_evaluations(path, part)
        if isinstance(found, Left):
            left.append(found)
        else:
            entries += found
    return entries, left


def entries_in(folders: Sequence[Path], part: str = "test") -> tuple[list[Entry], list[Left]]:
    """Find all evaluations in folders of runs or of results.

    Args:
        folders: The folders; a run and a folder of results may stand among them.
        part: As in `entries_of`.

    Returns:
        The evaluations, and the runs that have none of that part or cannot be read.

    Raises:
        UsageError: There is no such folder or part.
    """
    _check_part(part)
    entries: list[Entry] = []
    left: list[Left] = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(
                f"FOLDER must be a folder of runs or of results. Received: '{folder}'.",
                hint="See which runs there are: skinzoo runs",
            )
        inside = [folder] if _is_ours(folder) else sorted(p for p in folder.iterdir() if _is_ours(p))
        for path in dict.fromkeys(one.resolve() for one in inside if not one.name.startswith(".")):
            try:
                found = read_evaluations(path, part)
            except SkinzooError as error:
                found = Left(path.name, path, error.message.rstrip("."))
            if isinstance(found, Left):
                left.append(found)
            else:
                entries += found
    return entries, left


def read_evaluations(path: Path, part: str) -> list[Entry] | Left:
    """Read a run's evaluations of a part, or say why there is none.

    Args:
        path: A run directory or a folder of results.
        part: As in `entries_of`.

    Raises:
        DataError: An evaluation cannot be read.
        ModelError: The run cannot be read.
    """
    if _holds_results(path):
        entry = read_entry(path, path / EVALUATION_FILE)
        if (part == EXTERNAL) == entry.external and part in (EXTERNAL, entry.provenance["part"]):
            return [entry]
        return Left(path.name, path, f"its evaluation is of the {entry.provenance['part']} part")
    run = RunFolder(path)
    if run.state != FINISHED:
        command = "" if run.state == RUNNING else f"skinzoo train --resume {path}"
        return Left(run.name, path, f"it is {run.state}", command)
    wanted = EXTERNAL if part == EXTERNAL else run.document(SPLIT_FILE).get("aliases", {}).get(part, part)
    entries = [
        entry
        for file in sorted((path / EVALUATION_FOLDER).glob(f"*/{JSON}"))
        if (entry := read_entry(path, file)).external == (part == EXTERNAL)
        and wanted in (EXTERNAL, entry.provenance["part"])
    ]
    if entries:
        return entries
    option = " --external DATA" if part == EXTERNAL else "" if part == PARTS[-1] else f" --part {part}"
    what = "on external data" if part == EXTERNAL else f"on its {part} part"
    return Left(run.name, path, f"not evaluated {what}", f"skinzoo evaluate {path}{option}")


def read_entry(path: Path, file: Path) -> Entry:
    """Read one evaluation.

    Args:
        path: The run directory or folder of results, with its card.
        file: The evaluation as `skinzoo evaluate` writes it.

    Raises:
        DataError: Evaluation or card cannot be read.
    """
    document, card = _document(file), _document(path / CARD_FILE)
    try:
        measured, provenance = document["by_image"], document["provenance"]
        drawn = measured["intervals"]
        values = dict(measured["overall"])
        for name, scores in measured["per_class"].items():
            values |= {of_class(metric, name): value for metric, value in scores.items()}
        name = str(card["name"])
        if provenance["steps"]:
            name += f" ({', '.join(provenance['steps'])})"
        predictions = file.with_name(PREDICTIONS_FILE)
        for key in ("variant", "recipe", "dataset", "protocol", "split_hash", "part", "stamps"):
            provenance[key]
        card["classes"]
        return Entry(
            name=name,
            path=path,
            provenance=provenance,
            cases=int(measured["cases"]),
            support=dict(measured["support"]),
            values=values,
            intervals={name: Interval(**one) if one else None for name, one in drawn["metrics"].items()},
            unit=str(drawn["unit"]),
            level=float(drawn["level"]),
            card=card,
            predictions=predictions if predictions.is_file() else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(file, error) from error


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    if not isinstance(document, dict):
        raise _unreadable(file, ValueError("not an object"))
    return document


def _unreadable(file: Path, error: Exception) -> DataError:
    return DataError(
        f"An evaluation must be files as skinzoo writes them. Received: '{file}' "
        f"({type(error).__name__}: {' '.join(str(error).split())}).",
        hint="Evaluate the run anew: skinzoo evaluate RUN",
    )


def _check_part(part: str) -> None:
    if part not in (*PARTS, EXTERNAL):
        raise one_of("part", part, (*PARTS, EXTERNAL))


def _holds_results(path: Path) -> bool:
    return (
        (path / EVALUATION_FILE).is_file()
        and (path / CARD_FILE).is_file()
        and not (path / CONFIG_FILE).exists()
    )


def _is_ours(path: Path) -> bool:
    return (path / CONFIG_FILE).is_file() or _holds_results(path)
