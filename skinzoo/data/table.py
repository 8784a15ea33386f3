"""The canonical table of cases: one row an image.

| column | type | meaning |
|---|---|---|
| `image_path` | str | absolute path of the image file |
| `image_id` | str | unique id of the image |
| `lesion_id` | str | id of the lesion, or of the patient where there is none; `""` where there is neither |
| `label` | str | class name, one of the dataset's classes |
| `age` | float64 | years; NaN = unknown |
| `sex` | str | canonical term; `unknown` where missing |
| `localization` | str | canonical term of the site of the lesion on the body; `unknown` where missing |
| `confirmation` | str | how the diagnosis was made (`histo`, ...); `""` where not stated; never a feature |
| `dataset` | str | name of the dataset |
| `part` | str | official part (`train`, `validation`, `test`); `""` where the dataset has none |

Row order is the order of the dataset's own table. `DataFrame.attrs` holds `dataset` (its name), `classes`
(tuple of class names in order), `left_out` (list of dicts with `image_id`, `path`, `reason`) and `notes`
(how the data differ from the publication, a list of sentences); `parts_leak` (a sentence) stands there only
where the official parts are known to share lesions.

Missing values: an empty cell, `nan`, `na`, `n/a`, `none`, `null` or `unknown` in age, sex or localization
means unknown. It is never filled in and the row is never dropped for it; a protocol that drops such rows
says so in its split. The features are `FEATURES` and nothing else: `confirmation` tells the class apart by
how it was confirmed, and the size, the name or the folder of a file tell it apart by where it came from.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinzoo.errors import DataError, nearest
from skinzoo.specs import Vocabularies
from skinzoo.vocabulary import AGE_RANGE, MISSING, SEX_ABBREVIATIONS, Vocabulary, canonical

COLUMNS: tuple[str, ...] = (
    "image_path",
    "image_id",
    "lesion_id",
    "label",
    "age",
    "sex",
    "localization",
    "confirmation",
    "dataset",
    "part",
)
FEATURES: tuple[str, ...] = ("age", "sex", "localization")
PARTS: tuple[str, ...] = ("train", "validation", "test")

_REQUIRED = ("image_path", "image_id", "label")
_SKIP_HINT = "Correct the table, or pass --skip-bad to leave such rows out and list them."


@dataclass(frozen=True)
class BadRow:
    """One row that cannot be used.

    Args:
        position: Its position in the rows that were given.
        rule: What must hold, as a sentence without its end.
        received: What came instead.
    """

    position: int
    rule: str
    received: str

    @property
    def reason(self) -> str:
        """Both in one sentence."""
        return f"{self.rule}. Received: {self.received}."


def make_table(
    rows: pd.DataFrame | Mapping[str, Any],
    *,
    dataset: str,
    classes: Sequence[str],
    vocabularies: Vocabularies | None = None,
    skip_bad: bool = False,
    left_out: Iterable[Mapping[str, str]] = (),
    notes: Iterable[str] = (),
) -> pd.DataFrame:
    """Make the canonical table of what a reader found.

    Args:
        rows: Columns of `COLUMNS` in any order; `image_path`, `image_id` and `label` are required, the
            others default to unknown. Cells may be strings. Other columns are ignored.
        dataset: Name of the dataset.
        classes: Class names in order.
        vocabularies: Vocabularies of sex and localization; the canonical ones unless given.
        skip_bad: Leave out rows that break a rule, and list them, instead of failing.
        left_out: What the reader left out already, dicts with `image_id`, `path` and `reason`.
        notes: How the data differ from the publication.

    Returns:
        The table, checked.

    Raises:
        DataError: A row breaks a rule and `skip_bad` is off, or no row is left.
    """
    rows = pd.DataFrame(rows)
    missing = [column for column in _REQUIRED if column not in rows.columns]
    if missing:
        raise DataError(
            f"The rows of dataset '{dataset}' must have the columns {', '.join(_REQUIRED)}. "
            f"Received: {', '.join(map(str, rows.columns)) or 'none'}.",
            hint=f"Add {', '.join(missing)}.",
        )
    table = pd.DataFrame(index=range(len(rows)))
    for column in COLUMNS:
        values = rows[column].tolist() if column in rows.columns else [""] * len(rows)
        table[column] = pd.Series(_texts(values), dtype=str)
    ages = table["age"].tolist()
    numbers = [_age(text) for text in ages]
    table["age"] = pd.Series(numbers, dtype="float64")
    table["image_path"] = pd.Series(
        [str(Path(path).absolute()) if path else "" for path in table["image_path"]], dtype=str
    )
    table["sex"] = pd.Series([canonical(text, SEX_ABBREVIATIONS) for text in table["sex"]], dtype=str)
    table["localization"] = pd.Series([canonical(text, {}) for text in table["localization"]], dtype=str)
    table["part"] = pd.Series([text.lower() for text in table["part"]], dtype=str)
    table["dataset"] = pd.Series([dataset] * len(table), dtype=str)
    table.attrs = {
        "dataset": dataset,
        "classes": tuple(classes),
        "left_out": [dict(entry) for entry in left_out],
        "notes": list(notes),
    }
    not_ages = [
        BadRow(position, _AGE_RULE, f"'{text}' for image {_named(table, position)}")
        for position, text in enumerate(ages)
        if text.lower() not in MISSING and np.isnan(numbers[position])
    ]
    return _checked(table, vocabularies or Vocabularies(), skip_bad, not_ages)


def check_table(
    table: pd.DataFrame, *, vocabularies: Vocabularies | None = None, skip_bad: bool = False
) -> pd.DataFrame:
    """Check a canonical table, for example one that a third-party reader made by hand.

    Args:
        table: Table with `COLUMNS` and the attributes of a canonical table.
        vocabularies: Vocabularies of sex and localization; the canonical ones unless given.
        skip_bad: Leave out rows that break a rule, and list them, instead of failing.

    Returns:
        The table itself, or with `skip_bad` a copy without the bad rows.

    Raises:
        DataError: The table or a row of it breaks a rule.
    """
    missing = [column for column in COLUMNS if column not in table.columns]
    if missing:
        raise DataError(
            f"A table of cases must have the columns {', '.join(COLUMNS)}. Missing: {', '.join(missing)}.",
            hint="Make it with skinzoo.data.table.make_table.",
        )
    for key in ("dataset", "classes", "left_out", "notes"):
        if key not in table.attrs:
            raise DataError(
                f"A table of cases must have `attrs['{key}']`. "
                f"Received: {', '.join(map(str, table.attrs)) or 'none'}.",
                hint="Make it with skinzoo.data.table.make_table.",
            )
    if table["age"].dtype != np.float64:
        raise DataError(
            f"`age` must be float64 with NaN for unknown. Received: {table['age'].dtype}.",
            hint="Make the table with skinzoo.data.table.make_table.",
        )
    for column in COLUMNS:
        if column == "age":
            continue
        wrong = [value for value in table[column] if not isinstance(value, str)]
        if wrong:
            raise DataError(
                f"`{column}` must hold strings, empty where unknown. Received: {wrong[0]!r}.",
                hint="Make the table with skinzoo.data.table.make_table.",
            )
    return _checked(table, vocabularies or Vocabularies(), skip_bad, [])


def class_counts(table: pd.DataFrame) -> dict[str, int]:
    """Return the images of each class, in class order, classes without images included."""
    counts = table["label"].value_counts()
    return {name: int(counts.get(name, 0)) for name in table.attrs["classes"]}


def lesion_count(table: pd.DataFrame) -> int:
    """Return the number of distinct lesion ids; 0 where the data carry none."""
    return len(set(table["lesion_id"]) - {""})


def fingerprint(table: pd.DataFrame) -> str:
    """Return the sha256 of what the cases are, whatever folder they lie in and whatever their order.

    It covers image id, label, lesion id, age, sex, localization and the size of each image file in bytes;
    reading 10,015 file sizes takes well under a second.

    Raises:
        DataError: An image file cannot be found.
    """
    columns = ("image_id", "label", "lesion_id", "age", "sex", "localization", "image_path")
    digest = hashlib.sha256()
    for image_id, *facts, age, sex, localization, path in sorted(
        zip(*(table[column].tolist() for column in columns), strict=True)
    ):
        try:
            size = Path(path).stat().st_size
        except OSError as error:
            raise DataError(
                f"The image file of '{image_id}' must exist. Received: {path} ({error.strerror}).",
                hint="Read the dataset again, with --skip-bad if files are gone for good.",
            ) from error
        row = [image_id, *facts, None if np.isnan(age) else age, sex, localization, size]
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


def cases_digest(table: pd.DataFrame) -> str:
    """Return the sha256 of image ids, labels and lesion ids: what a split stands on in any copy."""
    digest = hashlib.sha256()
    for row in sorted(
        zip(*(table[column].tolist() for column in ("image_id", "label", "lesion_id")), strict=True)
    ):
        digest.update(json.dumps(row).encode() + b"\n")
    return digest.hexdigest()


_AGE_RULE = f"`age` must be a number of years within {AGE_RANGE[0]:g}..{AGE_RANGE[1]:g}, or empty for unknown"


def _checked(
    table: pd.DataFrame, vocabularies: Vocabularies, skip_bad: bool, known: list[BadRow]
) -> pd.DataFrame:
    bad = sorted(
        [*known, *_bad_rows(table, tuple(table.attrs["classes"]), vocabularies)], key=lambda row: row.position
    )
    if bad and not skip_bad:
        rows = len({row.position for row in bad})
        more = f" ({rows - 1:,} more rows break a rule.)" if rows > 1 else ""
        raise DataError(bad[0].reason + more, hint=_SKIP_HINT)
    if bad:
        reasons: dict[int, list[str]] = {}
        for row in bad:
            reasons.setdefault(row.position, []).append(row.reason)
        attrs = table.attrs
        left_out = attrs["left_out"] + [
            {
                "image_id": str(table["image_id"].iat[position]),
                "path": str(table["image_path"].iat[position]),
                "reason": " ".join(texts),
            }
            for position, texts in reasons.items()
        ]
        table = table[~np.isin(np.arange(len(table)), list(reasons))].reset_index(drop=True)
        table.attrs = {**attrs, "left_out": left_out}
    if table.empty:
        entries = table.attrs["left_out"]
        first = (
            f" The first of {len(entries):,} that were left out: {entries[0]['reason']}" if entries else ""
        )
        raise DataError(
            f"Dataset '{table.attrs['dataset']}' must have at least one usable row. Received: none.{first}",
            hint="Check the path and the reader: skinzoo list --kind dataset",
        )
    return table


def _bad_rows(table: pd.DataFrame, classes: tuple[str, ...], vocabularies: Vocabularies) -> list[BadRow]:
    bad: list[BadRow] = []
    labels: dict[str, list[tuple[int, str]]] = {}
    for position, (image_id, label) in enumerate(zip(table["image_id"], table["label"], strict=True)):
        if not image_id:
            bad.append(
                BadRow(position, "`image_id` must not be empty", f"an empty cell in row {position + 1}")
            )
        else:
            labels.setdefault(image_id, []).append((position, label))
        if label not in classes:
            match = nearest(label, classes)
            bad.append(
                BadRow(
                    position,
                    f"`label` must be one of {', '.join(classes)}",
                    f"'{label}' for image {_named(table, position)}"
                    + (f" (did you mean '{match}'?)" if match else ""),
                )
            )
    for image_id, found in labels.items():
        agree = len({label for _, label in found}) == 1
        for position, _ in found[1:] if agree else found * (len(found) > 1):
            bad.append(
                BadRow(
                    position,
                    "`image_id` must be unique",
                    f"'{image_id}' in {len(found)} rows" + ("" if agree else " with different labels"),
                )
            )
    for position, age in enumerate(table["age"]):
        if not np.isnan(age) and not AGE_RANGE[0] <= age <= AGE_RANGE[1]:
            bad.append(BadRow(position, _AGE_RULE, f"{age:g} for image {_named(table, position)}"))
    bad += _outside(table, vocabularies.sex)
    bad += _outside(table, vocabularies.localization)
    for position, part in enumerate(table["part"]):
        if part and part not in PARTS:
            bad.append(
                BadRow(
                    position,
                    f"`part` must be one of {', '.join(PARTS)}, or empty",
                    f"'{part}' for image {_named(table, position)}",
                )
            )
    for position, path in enumerate(table["image_path"]):
        if not (path and Path(path).is_file()):
            bad.append(
                BadRow(
                    position,
                    "Every row must have an image file",
                    f"{path or 'none found'} for image {_named(table, position)}",
                )
            )
    return bad


def _outside(table: pd.DataFrame, vocabulary: Vocabulary) -> list[BadRow]:
    terms = set(vocabulary.terms)
    return [
        BadRow(
            position,
            f"`{vocabulary.name}` must be one of {', '.join(vocabulary.terms)}",
            f"'{term}' for image {_named(table, position)}",
        )
        for position, term in enumerate(table[vocabulary.name])
        if term not in terms
    ]


def _named(table: pd.DataFrame, position: int) -> str:
    return f"'{table['image_id'].iat[position]}'"


def _texts(values: Iterable[object]) -> list[str]:
    return [
        "" if value is None or (value is not value) or value is pd.NA else str(value).strip()
        for value in values
    ]


def _age(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
