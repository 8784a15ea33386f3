"""The metrics by sex, age, localization and confirmation, and the gaps that their intervals allow to name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from skinzoo.evaluation.definitions import of_class
from skinzoo.evaluation.diagnoses import melanoma_class
from skinzoo.evaluation.intervals import LEVEL, WITHOUT, Interval, drawn_metrics, percentile_interval
from skinzoo.evaluation.metrics import Scores, compute_scores
from skinzoo.evaluation.predictions import Predictions
from skinzoo.vocabulary import UNKNOWN

DRAWS = 500
FEWEST = 20
"""Groups with fewer images are counted and not measured."""
AGE_BANDS: tuple[tuple[int, int], ...] = ((0, 29), (30, 44), (45, 59), (60, 74), (75, 120))
NOTE = (
    "Gaps are differences to the largest group of the property, with normal intervals of bootstrap standard "
    f"errors at {LEVEL:.0%}, Bonferroni-corrected within the property. Groups differ in their mix of "
    "classes, so a gap is a reason to look and no proof of unequal treatment."
)
_PROPERTIES = ("sex", "age", "localization", "confirmation")
_COMPARED = ("accuracy", "balanced_accuracy", "roc_auc_macro", "malignant_roc_auc")


@dataclass(frozen=True)
class Group:
    """The cases that share a property.

    Args:
        by: The shared property: `sex`, `age`, `localization` or `confirmation`.
        name: The shared value; an age band reads `30-44`.
        cases: Number of images.
        lesions: Number of lesions; images where there are no lesion ids.
        scores: Its metrics; None where there are fewer than `FEWEST` images.
        intervals: Flat metric name to interval; None where the draws cannot tell.
    """

    by: str
    name: str
    cases: int
    lesions: int
    scores: Scores | None
    intervals: Mapping[str, Interval | None]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "by": self.by,
            "name": self.name,
            "cases": self.cases,
            "lesions": self.lesions,
            "scores": self.scores.to_dict() if self.scores else None,
            "intervals": {name: i.to_dict() if i else None for name, i in self.intervals.items()},
        }


@dataclass(frozen=True)
class Gap:
    """A metric of a group minus that of the largest group of the property.

    Args:
        by: The property.
        group: The group.
        reference: The largest group.
        metric: Flat metric name.
        value: The difference.
        low: Lower bound of its interval.
        high: Upper bound of its interval.
    """

    by: str
    group: str
    reference: str
    metric: str
    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return not self.low <= 0 <= self.high

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {**vars(self), "clear": self.clear}


@dataclass(frozen=True)
class Subgroups:
    """All groups of a part.

    Args:
        groups: The groups, property after property.
        gaps: Every difference that was looked at, clear or not.
        unknown: Properties that the predictions do not carry.
    """

    groups: tuple[Group, ...]
    gaps: tuple[Gap, ...]
    unknown: tuple[str, ...]

    @property
    def flagged(self) -> tuple[Gap, ...]:
        """The gaps whose intervals leave 0 out."""
        return tuple(gap for gap in self.gaps if gap.clear)

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON."""
        return {
            "note": NOTE,
            "groups": [group.to_dict() for group in self.groups],
            "gaps": [gap.to_dict() for gap in self.gaps],
            "unknown_properties": list(self.unknown),
        }


def compute_subgroups(
    predictions: Predictions, *, draws: int = DRAWS, seed: int = 0, malignant: Sequence[str] | None = None
) -> Subgroups:
    """Compute the metrics of each group of cases.

    Args:
        predictions: The part, with the facts that are to be grouped by.
        draws: Bootstrap draws of each group.
        seed: Seed of the draws.
        malignant: Malignant classes; by their usual names unless given.
    """
    groups: list[Group] = []
    gaps: list[Gap] = []
    unknown = []
    for name in _PROPERTIES:
        if name not in predictions.facts or not _known(predictions.facts[name]).any():
            unknown.append(name)
            continue
        found, drawn = _groups(predictions, name, draws, seed + 1000 * len(groups), malignant)
        groups += found
        gaps += _gaps(found, drawn, melanoma_class(predictions.classes))
    return Subgroups(tuple(groups), tuple(gaps), tuple(unknown))


def age_band(age: float) -> str:
    """Return the band of an age in years, or `unknown` for NaN."""
    if np.isnan(age):
        return UNKNOWN
    return next(
        (f"{low}-{high}" for low, high in AGE_BANDS if age < high + 1),
        f"{AGE_BANDS[-1][0]}-{AGE_BANDS[-1][1]}",
    )


def _known(values: pd.Series) -> np.ndarray:
    return (values.notna() & ~values.isin(["", UNKNOWN])).to_numpy()


def _groups(
    predictions: Predictions, name: str, draws: int, seed: int, malignant: Sequence[str] | None
) -> tuple[list[Group], dict[str, dict[str, np.ndarray]]]:
    column = predictions.facts[name]
    values = (
        np.array([age_band(age) for age in column])
        if name == "age"
        else np.array([value if value else UNKNOWN for value in column])
    )
    order = [f"{low}-{high}" for low, high in AGE_BANDS] if name == "age" else []
    others = [value for value in pd.Series(values).value_counts().index if value not in (*order, UNKNOWN)]
    groups: list[Group] = []
    drawn: dict[str, dict[str, np.ndarray]] = {}
    for value in (*order, *others, UNKNOWN):
        part = predictions.rows(values == value)
        if not len(part):
            continue
        scores, intervals = None, dict[str, Interval | None]()
        if len(part) >= FEWEST:
            scores = compute_scores(part, malignant=malignant)
            drawn[str(value)] = drawn_metrics(part, draws=draws, seed=seed + len(groups), malignant=malignant)
            intervals = {
                metric: percentile_interval(numbers, LEVEL)
                for metric, numbers in drawn[str(value)].items()
                if metric not in WITHOUT
            }
        groups.append(Group(name, str(value), len(part), len(np.unique(part.units)), scores, intervals))
    return groups, drawn


def _gaps(
    groups: Sequence[Group], drawn: Mapping[str, Mapping[str, np.ndarray]], melanoma: str | None
) -> list[Gap]:
    measured = [group for group in groups if group.scores is not None and group.name != UNKNOWN]
    if len(measured) < 2:
        return []
    reference = max(measured, key=lambda group: group.cases)
    metrics = (*_COMPARED, *([of_class("recall", melanoma)] if melanoma else []))
    found = []
    for group in measured:
        if group is reference or group.scores is None or reference.scores is None:
            continue
        ours, theirs = group.scores.flat(), reference.scores.flat()
        for metric in metrics:
            first, second = ours[metric], theirs[metric]
            # Means over other classes are other quantities.
            comparable = group.scores.absent == reference.scores.absent or metric in ("accuracy", metrics[-1])
            if first is None or second is None or not comparable:
                continue
            errors = [_error(drawn[one.name][metric]) for one in (group, reference)]
            if None not in errors:
                found.append((group.name, metric, first - second, float(np.hypot(*errors))))  # type: ignore[arg-type]
    if not found:
        return []
    z = stats.norm.ppf(1 - (1 - LEVEL) / 2 / len(found))
    return [
        Gap(reference.by, name, reference.name, metric, value, value - z * error, value + z * error)
        for name, metric, value, error in found
    ]


def _error(drawn: np.ndarray) -> float | None:
    interval = percentile_interval(drawn, LEVEL)
    return float(np.nanstd(drawn, ddof=1)) if interval is not None else None
