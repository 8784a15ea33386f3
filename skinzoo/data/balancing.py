"""Balancing the classes of the training part; no function here is ever given another part.

What repeats or leaves out rows is an order (`skinzoo.data.order`): the table stays as it is, and with
augmentation every repetition looks different. What invents rows, SMOTE and ADASYN of imbalanced-learn, gives
a new table and images in memory, or new feature vectors. Class weights belong to the losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from skinzoo.data.cache import ImageCache
from skinzoo.data.order import EpochOrder, Shuffled, check_seed, generator
from skinzoo.errors import DataError, UsageError, one_of
from skinzoo.extras import require
from skinzoo.vocabulary import UNKNOWN

if TYPE_CHECKING:
    import pandas as pd

PAPERS_PER_CLASS = 8000
"""Images of each class in the balanced folder of Datta et al. 2021 and Nguyen et al. 2022, about."""

ORDERS = ("none", "oversample", "undersample", "class_balanced")
SYNTHETIC = ("smote", "adasyn")
METHODS = ORDERS + SYNTHETIC


@dataclass(frozen=True)
class Resampled:
    """A fixed choice of rows, some perhaps several times, shuffled anew in each epoch.

    Args:
        rows: int64 row numbers.
        seed: Whole number from 0.
    """

    rows: np.ndarray = field(repr=False)
    seed: int = 0

    @property
    def length(self) -> int:
        """Rows in an epoch."""
        return len(self.rows)

    def __call__(self, epoch: int) -> np.ndarray:
        """Return a permutation of the chosen rows."""
        return generator(self.seed, epoch).permutation(self.rows)


@dataclass(frozen=True)
class ClassBalanced:
    """As many rows of each class in every epoch, drawn anew; rows of a class repeat only when all were shown.

    Args:
        labels: Label of each row.
        length: Rows in an epoch.
        seed: Whole number from 0.
    """

    labels: np.ndarray = field(repr=False)
    length: int
    seed: int = 0

    def __call__(self, epoch: int) -> np.ndarray:
        """Return rows whose classes differ in number by one at most."""
        random = generator(self.seed, epoch)
        groups = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        share, rest = divmod(self.length, len(groups))
        more = set(random.permutation(len(groups))[:rest].tolist())
        drawn = [_cycle(rows, share + (number in more), random) for number, rows in enumerate(groups)]
        return random.permutation(np.concatenate(drawn))


@dataclass(frozen=True)
class Synthesised:
    """Feature vectors after SMOTE or ADASYN.

    Args:
        features: float32 `(n, d)`, the given ones first and unchanged.
        labels: `(n,)`.
        given: How many of them were given.
    """

    features: np.ndarray
    labels: np.ndarray
    given: int


def training_order(
    labels: Sequence[str] | np.ndarray | pd.Series,
    method: str = "none",
    *,
    seed: int = 0,
    per_class: int | None = None,
) -> EpochOrder:
    """Return the order in which the training part's rows are shown.

    Args:
        labels: Labels of the training part's rows.
        method: `none`: every row once. `oversample`: classes below `per_class` are repeated up to it, others
            stay whole. `undersample`: classes above `per_class` are cut down to a fixed random choice.
            `class_balanced`: each epoch draws as many rows of each class, `per_class` of each or as many rows
            as there are in all.
        seed: Whole number from 0.
        per_class: Rows of each class; by default the largest class for `oversample` (the papers' number is
            `PAPERS_PER_CLASS`) and the smallest for `undersample`.

    Raises:
        UsageError: An unknown method or an unusable number.
        DataError: There is no row.
    """
    values = np.asarray(labels)
    check_seed(seed)
    if method not in ORDERS:
        if method in SYNTHETIC:
            raise UsageError(
                f"An order must be one of {', '.join(ORDERS)}. Received: '{method}', which invents rows.",
                hint="Balance pixels or features with it instead.",
            )
        raise one_of("balancing", method, ORDERS)
    if per_class is not None and (
        isinstance(per_class, bool) or not isinstance(per_class, int) or per_class < 1
    ):
        raise UsageError(f"`per_class` must be a whole number of at least 1. Received: {per_class!r}.")
    if len(values) == 0:
        raise DataError("A training part must have at least one row. Received: none.")
    if method == "none":
        return Shuffled(len(values), seed)
    groups = [np.flatnonzero(values == label) for label in np.unique(values)]
    if method == "class_balanced":
        return ClassBalanced(values, per_class * len(groups) if per_class else len(values), seed)
    sizes = [len(rows) for rows in groups]
    # A stream of its own, so that the choice and the shuffling are independent.
    random = np.random.default_rng([seed, 0x0BA1A4CE, 1])
    if method == "oversample":
        goal = per_class or max(sizes)
        chosen = [_cycle(rows, max(goal, len(rows)), random) for rows in groups]
    else:
        goal = per_class or min(sizes)
        chosen = [_cycle(rows, min(goal, len(rows)), random) for rows in groups]
    return Resampled(np.sort(np.concatenate(chosen)), seed)


def synthesise(
    features: np.ndarray,
    labels: Sequence[str] | np.ndarray,
    method: str,
    *,
    seed: int = 0,
    neighbours: int = 5,
) -> Synthesised:
    """Bring every class to about the size of the largest by interpolating between neighbours of a class.

    Args:
        features: Vectors of the training part, `(n, d)`: flattened pixels or a backbone's features.
        labels: Their labels.
        method: `smote` (Chawla et al. 2002) or `adasyn` (He et al. 2008), which invents more where a class
            lies among others and so ends at sizes that are only about equal.
        seed: Whole number from 0.
        neighbours: How many nearest neighbours to interpolate with.

    Raises:
        MissingExtraError: imbalanced-learn is not installed.
        DataError: A class is too small for the number of neighbours, or nothing can be interpolated.
    """
    if method not in SYNTHETIC:
        raise one_of("balancing", method, SYNTHETIC)
    check_seed(seed)
    over_sampling = require("imblearn.over_sampling", extra="balance", purpose=f"Balancing by '{method}'")
    values = np.asarray(labels)
    names, counts = np.unique(values, return_counts=True)
    if len(names) < 2:
        raise DataError(f"Balancing needs at least two classes. Received: {', '.join(map(str, names))}.")
    smallest = int(counts.argmin())
    if counts[smallest] <= neighbours:
        raise DataError(
            f"Every class must have more rows than the {neighbours} neighbours of '{method}'. Received: "
            f"{counts[smallest]} of class '{names[smallest]}'.",
            hint="Use fewer neighbours, or balance by oversampling.",
        )
    options: dict[str, Any] = {"random_state": seed % 2**32}
    if method == "smote":
        sampler = over_sampling.SMOTE(k_neighbors=neighbours, **options)
    else:
        sampler = over_sampling.ADASYN(n_neighbors=neighbours, **options)
    try:
        new_features, new_labels = sampler.fit_resample(np.asarray(features, np.float32), values)
    except (ValueError, RuntimeError) as error:
        raise DataError(
            f"'{method}' must find rows to interpolate between. Received: {error}",
            hint="Balance by oversampling.",
        ) from error
    return Synthesised(new_features, new_labels, len(values))


def balance_pixels(
    part: pd.DataFrame, images: ImageCache, method: str, *, seed: int = 0, neighbours: int = 5
) -> tuple[pd.DataFrame, ImageCache]:
    """Add invented images to the training part, interpolated pixel by pixel.

    Nothing is known of an invented case: its age, sex and localization are unknown, and its `image_path` is
    empty.

    Args:
        part: The training part, and nothing else.
        images: Cache that holds its images; all of the part's pixels are taken into memory as float32.
        method: `smote` or `adasyn`.
        seed: Whole number from 0.
        neighbours: How many nearest neighbours to interpolate with.

    Returns:
        The part with the invented rows at its end, and a cache in memory of all its images.

    Raises:
        As `synthesise`.
    """
    import pandas as pd

    pixels = images.gather(images.rows(part["image_id"]))
    result = synthesise(
        pixels.reshape(len(pixels), -1), part["label"].to_numpy(str), method, seed=seed, neighbours=neighbours
    )
    added = len(result.labels) - result.given
    invented = result.features[result.given :].reshape(added, *pixels.shape[1:])
    invented = np.clip(np.rint(invented), 0, 255).astype(np.uint8)
    blank = {column: [""] * added for column in part.columns}
    rows = blank | {
        "image_id": [f"{method}-{number:06d}" for number in range(added)],
        "label": list(result.labels[result.given :]),
        "age": [np.nan] * added,
        "sex": [UNKNOWN] * added,
        "localization": [UNKNOWN] * added,
    }
    for column in ("dataset", "part"):
        if column in part.columns and part[column].nunique() == 1:
            rows[column] = [part[column].iloc[0]] * added
    table = pd.concat([part, pd.DataFrame(rows)], ignore_index=True)
    table.attrs = dict(part.attrs)
    everything = np.concatenate([pixels, invented])
    index = {image_id: row for row, image_id in enumerate(table["image_id"])}
    return table, ImageCache(everything, index, images.decoding, built=True)


def _cycle(rows: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Draw `count` rows so that none comes once more before all have come."""
    rounds = -(-count // len(rows))
    return np.concatenate([random.permutation(rows) for _ in range(rounds)])[:count].astype(np.int64)
