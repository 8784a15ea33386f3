"""Protocols: how a table of cases is divided into parts.

Each protocol returns an assignment of every row to `train`, `validation`, `test` or `dropped`. What a
protocol cannot do honestly is stamped: `leaky` where images of one lesion may lie in several parts,
`selection on test` where the part that chooses the checkpoint is also the part that is reported, `no lesion
ids` where nothing says which images belong together.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from skinzoo.data.layout import read_rows
from skinzoo.data.table import PARTS
from skinzoo.errors import DataError, UsageError, did_you_mean, one_of

TRAIN, VALIDATION, TEST = PARTS
DROPPED = "dropped"

LEAKY = "leaky"
SELECTION_ON_TEST = "selection on test"
NO_LESION_IDS = "no lesion ids"

PART_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "validation": VALIDATION,
    "val": VALIDATION,
    "valid": VALIDATION,
    "dev": VALIDATION,
    "test": TEST,
    "testing": TEST,
}

Array = np.ndarray


@dataclass(frozen=True)
class SplitRequest:
    """What a protocol works on.

    Args:
        table: The canonical table of cases.
        groups: For each row the number of its group; rows of a group must not be parted.
        grouped: Whether groups come from lesion ids or near-duplicates, so that they mean something.
        seed: Seed of the shuffle.
        options: The protocol's options, defaults included.
    """

    table: pd.DataFrame
    groups: Array
    grouped: bool
    seed: int
    options: Mapping[str, Any]

    @property
    def labels(self) -> Array:
        """Class name of each row."""
        return self.table["label"].to_numpy(dtype=object)


@dataclass(frozen=True)
class Assignment:
    """What a protocol decided.

    Args:
        parts: Part of each row.
        dropped: Reason for each dropped row, by image id.
        aliases: Parts that the protocol does not have, with the part that stands in.
        stamps: What the protocol cannot do honestly.
        warnings: Sentences for run and report.
    """

    parts: Array
    dropped: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    stamps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """A named way to divide a table.

    Args:
        name: What a user types.
        title: One line that says what it does.
        assign: Divides a table.
        options: Options with their defaults.
        seed: Seed unless one is given.
        grouped: Whether it keeps groups together.
        leaky: Whether images of one lesion may lie in several parts.
        source: Where it comes from.
    """

    name: str
    title: str
    assign: Callable[[SplitRequest], Assignment]
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    seed: int = 0
    grouped: bool = True
    leaky: bool = False
    source: str = ""


def protocol(name: str) -> Protocol:
    """Return the protocol of a name.

    Raises:
        UsageError: There is none; the error names the nearest.
    """
    if name not in PROTOCOLS:
        raise one_of("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


def checked_options(chosen: Protocol, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a protocol's options, defaults included; text becomes a number where the default is one.

    Raises:
        UsageError: An unknown option, or a value of the wrong type.
    """
    values = dict(chosen.options)
    for name, value in options.items():
        if name not in values:
            raise UsageError(
                f"Protocol '{chosen.name}' has the options: {', '.join(values) or 'none'}. Received: "
                f"'{name}'.",
                hint=did_you_mean(name, values),
            )
        default = values[name]
        if isinstance(default, str):
            values[name] = str(value)
            continue
        try:
            converted = type(default)(value)
        except (TypeError, ValueError):
            converted = None
        if converted is None or isinstance(value, bool) or converted != float(value):
            raise UsageError(
                f"Option `{name}` of protocol '{chosen.name}' must be of type {type(default).__name__}, for "
                f"example {default!r}. Received: {value!r}."
            )
        values[name] = converted
    return values


def _lesion(request: SplitRequest) -> Assignment:
    return _fold_as_test(request, "test_fold")


def _lesion_kfold(request: SplitRequest) -> Assignment:
    return _fold_as_test(request, "fold")


def _fold_as_test(request: SplitRequest, option: str) -> Assignment:
    count, test_fold = request.options["folds"], request.options[option]
    if count < 3:
        raise UsageError(
            f"`folds` must be at least 3: one to test, one to validate, the rest to train. Received: {count}."
        )
    if not 0 <= test_fold < count:
        raise UsageError(
            f"`{option}` must be within 0..{count - 1} for {count} folds. Received: {test_fold}."
        )
    folds = _grouped_folds(request, np.arange(len(request.table)), count)
    parts = np.full(len(request.table), TRAIN, dtype=object)
    parts[folds == test_fold] = TEST
    parts[folds == (test_fold + 1) % count] = VALIDATION
    return Assignment(parts, warnings=_absent_classes(request, parts))


def _paper(request: SplitRequest) -> Assignment:
    from sklearn.model_selection import train_test_split

    ages = request.table["age"].to_numpy()
    kept = np.flatnonzero(~np.isnan(ages))
    size = _share("test_size", request.options["test_size"])
    labels = request.labels
    _need_members(labels[kept], 2, "images with a known age", "Choose another protocol: --protocol lesion")
    try:
        _, held_out = train_test_split(kept, test_size=size, stratify=labels[kept], random_state=request.seed)
    except ValueError as error:
        raise DataError(f"The table is too small for protocol 'paper': {error}") from error
    parts = np.full(len(request.table), TRAIN, dtype=object)
    parts[np.isnan(ages)] = DROPPED
    parts[held_out] = VALIDATION
    dropped = dict.fromkeys(request.table["image_id"].to_numpy()[np.isnan(ages)], "age is unknown")
    return Assignment(
        parts,
        dropped=dropped,
        aliases={TEST: VALIDATION},
        stamps=(SELECTION_ON_TEST,),
        warnings=(
            "The validation part chooses the checkpoint and is also what is reported, as in the paper.",
        ),
    )


def _datta(request: SplitRequest) -> Assignment:
    from sklearn.model_selection import train_test_split

    size = _share("test_size", request.options["test_size"])
    validation = request.options["validation"]
    if not 0 <= validation < 1:
        raise UsageError(f"`validation` must be a share within 0..1. Received: {validation}.")
    labels = request.labels
    _, inverse, images = np.unique(request.groups, return_inverse=True, return_counts=True)
    single = np.flatnonzero(images[inverse] == 1)
    missing = sorted(set(labels) - set(labels[single]))
    if missing:
        raise DataError(
            f"Protocol 'datta' must find single-image lesions in every class. Received: none of "
            f"{missing[0]}.",
            hint="Choose another protocol: --protocol lesion",
        )
    _need_members(labels[single], 2, "single-image lesions", "Choose another protocol: --protocol lesion")
    try:
        _, test = train_test_split(single, test_size=size, stratify=labels[single], random_state=request.seed)
    except ValueError as error:
        raise DataError(f"The table is too small for protocol 'datta': {error}") from error
    parts = np.full(len(request.table), TRAIN, dtype=object)
    parts[test] = TEST
    if not validation:
        return Assignment(
            parts,
            aliases={VALIDATION: TEST},
            stamps=(SELECTION_ON_TEST,),
            warnings=(
                "The test part also chooses the checkpoint, as in the publication; the option validation=0.1 "
                "takes a part of its own for that.",
            ),
        )
    _carve_validation(request, parts, validation)
    return Assignment(parts, warnings=_absent_classes(request, parts))


def _northeastern(request: SplitRequest) -> Assignment:
    from sklearn.model_selection import train_test_split

    size = _share("test_size", request.options["test_size"])
    parts = np.full(len(request.table), TRAIN, dtype=object)
    try:
        _, test = train_test_split(np.arange(len(parts)), test_size=size, random_state=request.seed)
    except ValueError as error:
        raise DataError(f"The table is too small for protocol 'northeastern': {error}") from error
    parts[test] = TEST
    return Assignment(
        parts,
        aliases={VALIDATION: TEST},
        stamps=(SELECTION_ON_TEST,),
        warnings=(
            "The test part also chooses the checkpoint: the report has no validation part.",
            *_absent_classes(request, parts),
        ),
    )


def _official(request: SplitRequest) -> Assignment:
    parts = request.table["part"].to_numpy(dtype=object).copy()
    have = {str(part) for part in set(parts)} - {""}
    dataset = request.table.attrs.get("dataset", "")
    if TRAIN not in have or not have & {VALIDATION, TEST}:
        raise DataError(
            f"Protocol 'official' must find official parts, train and at least one of validation and test. "
            f"Received: {', '.join(sorted(have)) or 'none'} in dataset '{dataset}'.",
            hint="Choose another protocol: --protocol lesion",
        )
    dropped = dict.fromkeys(request.table["image_id"].to_numpy()[parts == ""], "no official part")
    parts[parts == ""] = DROPPED
    leak = request.table.attrs.get("parts_leak")
    return _completed(request, parts, dropped, (str(leak),) if leak else (), (LEAKY,) if leak else ())


def _given(request: SplitRequest) -> Assignment:
    column, file = request.options["column"], request.options["file"]
    table = request.table
    if bool(column) == bool(file):
        raise UsageError(
            "Protocol 'given' must be given one of the options column and file. Received: "
            + ("both." if column else "neither."),
            hint="For example file=parts.csv, a table with the columns image_id and part.",
        )
    if column:
        if column not in table.columns:
            raise UsageError(
                f"`column` must be a column of the table. Received: '{column}'.",
                hint=did_you_mean(column, [str(name) for name in table.columns]) or "Usual: column=part",
            )
        named = dict(zip(table["image_id"], table[column].astype(str), strict=True))
        origin = f"column '{column}'"
    else:
        path = Path(file).expanduser()
        rows = read_rows(path, ("image_id", "part"))
        repeated = rows["image_id"][rows["image_id"].duplicated()]
        if len(repeated):
            raise DataError(
                f"Each image must stand once in {path}. Received: '{repeated.iloc[0]}' several times.",
                hint="Correct the file.",
            )
        named = dict(zip(rows["image_id"], rows["part"], strict=True))
        origin = path.name
    parts = np.full(len(table), DROPPED, dtype=object)
    dropped: dict[str, str] = {}
    for position, image_id in enumerate(table["image_id"]):
        text = named.get(image_id, "").strip().lower()
        if text in PART_NAMES:
            parts[position] = PART_NAMES[text]
        elif text in ("", DROPPED):
            dropped[image_id] = f"no part in {origin}"
        else:
            raise DataError(
                f"Parts must be one of {', '.join(PART_NAMES)}, or empty. Received: '{text}' for image "
                f"'{image_id}' in {origin}.",
                hint="Correct it.",
            )
    have = set(parts) - {DROPPED}
    if TRAIN not in have or not have & {VALIDATION, TEST}:
        raise DataError(
            f"The given parts must be train and at least one of validation and test. Received: "
            f"{', '.join(sorted(have)) or 'none'} in {origin}.",
            hint="Check the file and its ids.",
        )
    extra = len(set(named) - set(table["image_id"]))
    warnings = (f"{origin} names {extra:,} images that the table does not have.",) if extra else ()
    return _completed(request, parts, dropped, warnings, ())


def _completed(
    request: SplitRequest,
    parts: Array,
    dropped: Mapping[str, str],
    warnings: tuple[str, ...],
    stamps: tuple[str, ...],
) -> Assignment:
    """Give a split made by others what it lacks: a validation part, or a stand-in for the test part."""
    aliases: dict[str, str] = {}
    have = set(parts)
    if dropped:
        warnings += (f"{len(dropped):,} images have no part and are left out of the split.",)
    if TEST not in have:
        aliases[TEST] = VALIDATION
        stamps += (SELECTION_ON_TEST,)
        warnings += ("There is no test part: the validation part chooses the checkpoint and is reported.",)
    elif VALIDATION not in have:
        share = request.options["validation"]
        if share:
            _carve_validation(request, parts, share)
            warnings += (
                f"There is no validation part: a share of {share:g} of the training part became one.",
            )
        else:
            aliases[VALIDATION] = TEST
            stamps += (SELECTION_ON_TEST,)
            warnings += ("There is no validation part: the test part chooses the checkpoint.",)
    return Assignment(parts, dropped, aliases, stamps, (*warnings, *_absent_classes(request, parts)))


def _carve_validation(request: SplitRequest, parts: Array, share: float) -> None:
    """Turn a share of the training part into a validation part, groups kept together."""
    if not 0 < share <= 0.5:
        raise UsageError(f"`validation` must be a share within 0..0.5. Received: {share}.")
    train = np.flatnonzero(parts == TRAIN)
    folds = _grouped_folds(request, train, max(2, round(1 / share)))
    parts[train[folds == 0]] = VALIDATION


def _grouped_folds(request: SplitRequest, rows: Array, count: int) -> Array:
    """Number the fold of each of some rows: stratified by class, groups kept together."""
    labels, groups = request.labels[rows], request.groups[rows]
    what = "lesions" if request.grouped else "images"
    for name in sorted(set(labels)):
        have = len(set(groups[labels == name]))
        if have < count:
            raise DataError(
                f"Each class must have at least as many {what} as there are folds ({count}). "
                f"Received: {have} of "
                f"class '{name}'.",
                hint=(f"Choose --folds {have}" if have >= 3 else "Add images of that class")
                + ", or leave the class out of the data.",
            )
    return np.array(_stratified_group_folds(tuple(labels), tuple(groups.tolist()), count, request.seed))


@functools.lru_cache(maxsize=4)
def _stratified_group_folds(
    labels: tuple[str, ...], groups: tuple[int, ...], count: int, seed: int
) -> tuple[int, ...]:
    """Number the folds; remembered, because a cross-validation asks once for each fold."""
    from skinzoo.data.group_folds import QuickStratifiedGroupKFold

    folds = np.empty(len(labels), dtype=int)
    splitter = QuickStratifiedGroupKFold(n_splits=count, shuffle=True, random_state=seed)
    for number, (_, held_out) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups)):
        folds[held_out] = number
    return tuple(folds.tolist())


def _absent_classes(request: SplitRequest, parts: Array) -> tuple[str, ...]:
    found = []
    classes: Sequence[str] = request.table.attrs["classes"]
    for part in PARTS:
        inside = parts == part
        if inside.any():
            absent = [name for name in classes if name not in set(request.labels[inside])]
            if absent:
                found.append(f"The {part} part has no image of: {', '.join(absent)}.")
    return tuple(found)


def _need_members(labels: Array, count: int, what: str, hint: str) -> None:
    for name in sorted(set(labels)):
        have = int((labels == name).sum())
        if have < count:
            raise DataError(
                f"Each class must have at least {count} {what}. Received: {have} of class '{name}'.",
                hint=hint,
            )


def _share(name: str, value: float) -> float:
    if not 0 < value < 1:
        raise UsageError(f"`{name}` must be a share between 0 and 1. Received: {value}.")
    return value


_NGUYEN = "Nguyen et al. 2022"

PROTOCOLS: dict[str, Protocol] = {
    entry.name: entry
    for entry in (
        Protocol(
            name="lesion",
            title="Stratified folds, lesions kept together: one tests, the next validates, the rest train",
            assign=_lesion,
            options=MappingProxyType({"folds": 10, "test_fold": 0}),
        ),
        Protocol(
            name="lesion_kfold",
            title="Cross-validation on the folds of `lesion`: each fold is the test part once",
            assign=_lesion_kfold,
            options=MappingProxyType({"folds": 10, "fold": 0}),
        ),
        Protocol(
            name="paper",
            title="Image-level 90/10 without rows of unknown age; validation is also the report",
            assign=_paper,
            options=MappingProxyType({"test_size": 0.1}),
            grouped=False,
            leaky=True,
            source=_NGUYEN,
        ),
        Protocol(
            name="datta",
            title="Test part drawn from lesions with a single image; it also chooses the checkpoint",
            assign=_datta,
            options=MappingProxyType({"test_size": 0.15, "validation": 0.0}),
            source="Datta et al. 2021",
        ),
        Protocol(
            name="northeastern",
            title="Image-level 80/20, not stratified",
            assign=_northeastern,
            options=MappingProxyType({"test_size": 0.2}),
            seed=42,
            grouped=False,
            leaky=True,
            source="Northeastern University report",
        ),
        Protocol(
            name="official",
            title="The dataset's own parts",
            assign=_official,
            options=MappingProxyType({"validation": 0.1}),
        ),
        Protocol(
            name="given",
            title="Parts from a column of the table or from a file with the columns image_id and part",
            assign=_given,
            options=MappingProxyType({"column": "", "file": "", "validation": 0.1}),
        ),
    )
}
