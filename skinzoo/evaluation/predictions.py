"""The predictions table: one row an image, its true class and one probability a class.

| column | meaning |
|---|---|
| `image_id` | unique id of the image |
| `lesion_id` | id of the lesion, or of the patient; optional, empty where unknown |
| `true` | name of the true class |
| one column a class, named after it | probability of the class; each row sums to 1 |
| those of `FACTS` | optional: age, sex and so on, for subgroups and pictures |

Every other column is taken for a class, so a stray column is an error and never ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinzoo.errors import DataError, did_you_mean
from skinzoo.extras import require
from skinzoo.files import replacing

IMAGE, LESION, TRUE = "image_id", "lesion_id", "true"
FACTS: tuple[str, ...] = ("age", "sex", "localization", "confirmation", "dataset", "part", "image_path")
TOLERANCE = 1e-3
"""How far a row's probabilities may sum from 1: what rounding to four decimals does to ten classes."""

_FORMATS = (".csv", ".parquet")
_COLUMNS_HINT = (
    "The columns are image_id, lesion_id (optional), true, and one a class, named after the class."
)


@dataclass(frozen=True)
class Predictions:
    """Checked predictions of a part.

    Args:
        classes: Class names in order.
        image_id: Ids of the images, `(n,)`.
        lesion_id: Ids of the lesions, `(n,)`; `""` where there is none.
        true: Indices of the true classes, `(n,)`, int64.
        probabilities: `(n, classes)`, float64; each row sums to 1.
        facts: Columns of `FACTS` that are known, `n` rows; age is float64, the others are strings.
        source: Where they come from, for messages.
    """

    classes: tuple[str, ...]
    image_id: np.ndarray
    lesion_id: np.ndarray
    true: np.ndarray
    probabilities: np.ndarray
    facts: pd.DataFrame = field(default_factory=pd.DataFrame)
    source: str = "predictions"

    def __len__(self) -> int:
        return len(self.true)

    @property
    def predicted(self) -> np.ndarray:
        """Indices of the most probable classes, `(n,)`; the first one in class order where several tie."""
        return self.probabilities.argmax(axis=1)

    @property
    def units(self) -> np.ndarray:
        """Number of each image's lesion, `(n,)`, from 0; an image without a lesion id is its own unit."""
        names = [
            f"lesion {lesion}" if lesion else f"image {image}"
            for image, lesion in zip(self.image_id, self.lesion_id, strict=True)
        ]
        return np.unique(np.array(names, dtype=object), return_inverse=True)[1]

    @property
    def has_lesions(self) -> bool:
        """Whether any image has a lesion id."""
        return bool((self.lesion_id != "").any())

    @property
    def present(self) -> tuple[str, ...]:
        """Classes with at least one image."""
        counts = np.bincount(self.true, minlength=len(self.classes))
        return tuple(name for name, count in zip(self.classes, counts, strict=True) if count)

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes without an image."""
        return tuple(name for name in self.classes if name not in self.present)

    def rows(self, chosen: np.ndarray) -> Predictions:
        """Return the predictions of some rows, chosen by indices or by a boolean mask."""
        facts = self.facts.iloc[np.flatnonzero(chosen) if chosen.dtype == bool else chosen]
        return Predictions(
            self.classes,
            self.image_id[chosen],
            self.lesion_id[chosen],
            self.true[chosen],
            self.probabilities[chosen],
            facts.reset_index(drop=True),
            self.source,
        )

    def with_probabilities(self, probabilities: np.ndarray) -> Predictions:
        """Return the same cases with other probabilities, for example calibrated ones."""
        return replace(self, probabilities=probabilities)

    def with_lesions(self, lesion_id: np.ndarray) -> Predictions:
        """Return the same predictions with other lesion ids."""
        return replace(self, lesion_id=lesion_id)

    def table(self) -> pd.DataFrame:
        """Return them as a table with the columns of a predictions file."""
        columns: dict[str, Any] = {
            IMAGE: self.image_id,
            LESION: self.lesion_id,
            TRUE: np.array(self.classes, dtype=object)[self.true],
            **{name: self.probabilities[:, i] for i, name in enumerate(self.classes)},
            **{str(name): self.facts[name].to_numpy() for name in self.facts},
        }
        return pd.DataFrame(columns)


def make_predictions(
    table: pd.DataFrame | Mapping[str, Any],
    *,
    classes: Sequence[str] | None = None,
    source: str = "predictions",
) -> Predictions:
    """Check a table of predictions.

    Args:
        table: Columns as above; cells may be strings.
        classes: Class names in order, those of the model for example; the columns' order unless given.
        source: Where the table comes from, for messages.

    Raises:
        DataError: The table breaks a rule; the error names the column, the row and the image.
    """
    table = pd.DataFrame(table)
    names = [str(name) for name in table.columns]
    table.columns = pd.Index(names)
    _check_columns(names, source)
    found = tuple(name for name in names if name not in (IMAGE, LESION, TRUE, *FACTS))
    classes = _check_classes(found, classes, source)
    if table.empty:
        raise DataError(
            f"{source} must hold at least one image. Received: none.",
            hint="Choose a part that has images.",
        )
    images = _texts(table[IMAGE])
    row = _namer(images, source)
    _check_images(images, source)
    true = _indices(_texts(table[TRUE]), classes, row)
    probabilities = _probabilities(table, classes, row)
    facts = pd.DataFrame(
        {name: _fact(name, table[name], row) for name in FACTS if name in names}, index=range(len(table))
    )
    lesions = _texts(table[LESION]) if LESION in names else np.full(len(table), "", dtype=object)
    return Predictions(classes, images, lesions, true, probabilities, facts, source)


def read_predictions(path: Path, *, classes: Sequence[str] | None = None) -> Predictions:
    """Read a predictions file.

    Args:
        path: A `.csv` or `.parquet` file.
        classes: Class names in order; the columns' order unless given.

    Raises:
        DataError: The file cannot be read or breaks a rule.
        MissingExtraError: It is Parquet and pyarrow is not installed.
    """
    _check_format(path)
    try:
        if path.suffix.lower() == ".csv":
            header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
            # Pandas would rename a repeated column silently.
            _check_columns([str(name).strip() for name in header.iloc[0]], str(path))
            table = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
            table.columns = table.columns.str.strip()
        else:
            require("pyarrow", extra="parquet", purpose="Reading a Parquet file")
            table = pd.read_parquet(path)
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise DataError(
            f"A predictions file must be readable. Received: '{path}' ({_reason(error)}).",
            hint=_COLUMNS_HINT,
        ) from error
    return make_predictions(table, classes=classes, source=str(path))


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write a predictions file atomically; probabilities keep every digit.

    Raises:
        DataError: The suffix is neither `.csv` nor `.parquet`.
        MissingExtraError: It is Parquet and pyarrow is not installed.
    """
    _check_format(path)
    if path.suffix.lower() == ".parquet":
        require("pyarrow", extra="parquet", purpose="Writing a Parquet file")
    with replacing(path) as temporary:
        if path.suffix.lower() == ".csv":
            predictions.table().to_csv(temporary, index=False, lineterminator="\n")
        else:
            predictions.table().to_parquet(temporary, index=False)


def per_lesion(predictions: Predictions) -> Predictions:
    """Return one prediction a lesion: the mean of the probabilities of its images.

    An image without a lesion id stays alone. Facts are those of the lesion's first image; `image_id` is
    the first image's too.

    Raises:
        DataError: The images of a lesion have different true classes.
    """
    units = predictions.units
    counts = np.bincount(units)
    first = _first_rows(units)
    different = np.flatnonzero(predictions.true != predictions.true[first][units])
    if len(different):
        one = different[0]
        raise DataError(
            f"The images of one lesion must have one true class. Received: lesion "
            f"'{predictions.lesion_id[one]}' with {predictions.classes[predictions.true[one]]} and "
            f"{predictions.classes[predictions.true[first[units[one]]]]}.",
            hint="Correct the column `true` or `lesion_id`, or evaluate by image.",
        )
    sums = np.zeros((len(counts), len(predictions.classes)))
    np.add.at(sums, units, predictions.probabilities)
    # In the order in which the lesions first appear.
    appearance = np.argsort(first, kind="stable")
    chosen = predictions.rows(first[appearance])
    return chosen.with_probabilities((sums / counts[:, None])[appearance])


def lesions_agree(predictions: Predictions) -> bool:
    """Return whether the images of each lesion have one true class; those of a patient may have several."""
    units = predictions.units
    return bool((predictions.true == predictions.true[_first_rows(units)][units]).all())


def _first_rows(units: np.ndarray) -> np.ndarray:
    return np.unique(units, return_index=True)[1]


def _check_columns(names: Sequence[str], source: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"The columns of {source} must have different names. Received: {repeated[0]!r} "
            f"{names.count(repeated[0])} times.",
            hint=_COLUMNS_HINT,
        )
    missing = [name for name in (IMAGE, TRUE) if name not in names]
    if missing:
        close = [hint for name in missing if (hint := did_you_mean(name, names))]
        raise DataError(
            f"{source} must have the columns {IMAGE} and {TRUE}. Missing: {', '.join(missing)}. "
            f"Received: {', '.join(names) or 'none'}.",
            hint=close[0] if close else _COLUMNS_HINT,
        )


def _check_classes(found: tuple[str, ...], classes: Sequence[str] | None, source: str) -> tuple[str, ...]:
    if len(found) < 2:
        raise DataError(
            f"{source} must have at least two columns of probabilities. Received: "
            f"{', '.join(found) or 'none'}.",
            hint=_COLUMNS_HINT,
        )
    if classes is None:
        return found
    missing = [name for name in classes if name not in found]
    more = [name for name in found if name not in classes]
    if missing or more:
        parts = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(more)}"] * bool(
            more
        )
        raise DataError(
            f"{source} must have one column a class: {', '.join(classes)}. Received: "
            f"{', '.join(found)} ({'; '.join(parts)}).",
            hint=_COLUMNS_HINT,
        )
    return tuple(classes)


def _check_images(images: np.ndarray, source: str) -> None:
    empty = np.flatnonzero(images == "")
    if len(empty):
        raise DataError(
            f"`{IMAGE}` must not be empty. Received: an empty cell in row {empty[0] + 1} of {source}"
            f"{_more(len(empty))}."
        )
    names, counts = np.unique(images.astype(str), return_counts=True)
    if (counts > 1).any():
        worst = int(np.argmax(counts > 1))
        rows = ", ".join(str(row + 1) for row in np.flatnonzero(images == names[worst])[:3])
        raise DataError(
            f"`{IMAGE}` must be unique. Received: '{names[worst]}' in {counts[worst]} rows of {source} "
            f"(rows {rows}){_more(int((counts > 1).sum()), 'repeated id')}.",
            hint="Give one row an image; several predictions of one image are averaged before this.",
        )


def _indices(labels: np.ndarray, classes: tuple[str, ...], row: Callable[[int], str]) -> np.ndarray:
    position = {name: i for i, name in enumerate(classes)}
    true = np.array([position.get(label, -1) for label in labels], dtype=np.int64)
    wrong = np.flatnonzero(true < 0)
    if len(wrong):
        label = labels[wrong[0]]
        raise DataError(
            f"`{TRUE}` must be one of the classes {', '.join(classes)}. Received: '{label}' in "
            f"{row(wrong[0])}{_more(len(wrong))}.",
            hint=did_you_mean(label, classes) or "Leave cases of other classes out of the file.",
        )
    return true


def _probabilities(table: pd.DataFrame, classes: tuple[str, ...], row: Callable[[int], str]) -> np.ndarray:
    columns = []
    for name in classes:
        numbers = pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.flatnonzero(~np.isfinite(numbers))
        if len(bad):
            raise DataError(
                f"Column '{name}' must hold probabilities. Received: '{table[name].iat[bad[0]]}' in "
                f"{row(bad[0])}{_more(len(bad))}.",
                hint="Every column but "
                + ", ".join((IMAGE, LESION, TRUE, *FACTS))
                + " is taken for a class.",
            )
        outside = np.flatnonzero((numbers < 0) | (numbers > 1 + TOLERANCE))
        if len(outside):
            raise DataError(
                f"Probabilities must lie within 0..1. Received: {numbers[outside[0]]:g} for class '{name}' "
                f"in {row(outside[0])}{_more(len(outside))}.",
                hint="Pass softmax outputs, not logits.",
            )
        columns.append(numbers)
    probabilities = np.stack(columns, axis=1)
    sums = probabilities.sum(axis=1)
    off = np.flatnonzero(np.abs(sums - 1) > TOLERANCE)
    if len(off):
        raise DataError(
            f"The probabilities of a row must sum to 1 (within {TOLERANCE:g}). Received: "
            f"{sums[off[0]]:.6g} in {row(off[0])}{_more(len(off))}.",
            hint="Check that every class has its column and that these are softmax outputs.",
        )
    # What rounding left: log loss and calibration need rows that sum to 1.
    return probabilities / sums[:, None]


def _fact(name: str, values: pd.Series, row: Callable[[int], str]) -> pd.Series:
    texts = _texts(values)
    if name != "age":
        return pd.Series(texts, dtype=str)
    ages = pd.to_numeric(pd.Series(texts), errors="coerce").astype("float64")
    unknown = np.isin(np.char.lower(texts.astype(str)), ["", "nan", "unknown", "none", "null", "na", "n/a"])
    bad = np.flatnonzero(ages.isna().to_numpy() & ~unknown)
    if len(bad):
        raise DataError(
            f"`age` must be a number of years, or empty for unknown. Received: '{texts[bad[0]]}' in "
            f"{row(bad[0])}{_more(len(bad))}."
        )
    return ages


def _texts(values: pd.Series) -> np.ndarray:
    cleaned = [
        "" if value is None or value is pd.NA or value != value else str(value).strip() for value in values
    ]
    return np.array(cleaned, dtype=object)


def _namer(images: np.ndarray, source: str) -> Callable[[int], str]:
    return lambda position: f"row {position + 1} of {source} (image '{images[position]}')"


def _more(number: int, what: str = "such row") -> str:
    return f" and {number - 1:,} more {what}{'s' if number > 2 else ''}" if number > 1 else ""


def _check_format(path: Path) -> None:
    if path.suffix.lower() not in _FORMATS:
        raise DataError(
            f"A predictions file must end in {' or '.join(_FORMATS)}. Received: '{path}'.",
            hint=_COLUMNS_HINT,
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
