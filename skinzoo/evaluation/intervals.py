"""Intervals by bootstrap over lesions, and tests between two runs on the same images.

Images of one lesion are not independent, so whole lesions are drawn; images without a lesion id are their own
unit. Intervals are the percentiles of the draws (Efron and Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from skinzoo.errors import DataError, UsageError
from skinzoo.evaluation.predictions import Predictions, lesions_agree, per_lesion
from skinzoo.evaluation.weighted import WeightedScores

DRAWS = 1000
LEVEL = 0.95
WITHOUT = ("expected_calibration_error",)
"""Metrics without an interval: a draw repeats cases, which the calibration error takes for miscalibration."""
_CHUNK = 50
_ENOUGH = 0.5


@dataclass(frozen=True)
class Interval:
    """An interval of a metric.

    Args:
        low: Lower bound.
        high: Upper bound.
        draws: Draws in which the metric was defined.
    """

    low: float
    high: float
    draws: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"low": self.low, "high": self.high, "draws": self.draws}


@dataclass(frozen=True)
class Intervals:
    """Intervals of the metrics of a part.

    Args:
        by_metric: Flat metric name to its interval; None where the draws cannot tell.
        level: Coverage that the intervals are made for.
        draws: Number of draws.
        unit: What was drawn, `lesion` or `image`.
        units: How many there are.
        seed: Seed of the draws.
    """

    by_metric: Mapping[str, Interval | None]
    level: float
    draws: int
    unit: str
    units: int
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON."""
        return {
            "method": f"percentile bootstrap over {self.unit}s",
            "level": self.level,
            "draws": self.draws,
            "unit": self.unit,
            "units": self.units,
            "seed": self.seed,
            "metrics": {name: i.to_dict() if i else None for name, i in self.by_metric.items()},
        }


@dataclass(frozen=True)
class Difference:
    """A metric of one run minus that of another.

    Args:
        value: The difference.
        interval: Its interval; None where the draws cannot tell.
        p: Two-sided p value of no difference, from the same draws; None without an interval.
    """

    value: float
    interval: Interval | None
    p: float | None

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.interval is not None and not self.interval.low <= 0 <= self.interval.high

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "value": self.value,
            "interval": self.interval.to_dict() if self.interval else None,
            "p": self.p,
            "clear": self.clear,
        }


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test of two runs' right and wrong answers.

    Args:
        only_first: Cases that only the first run has right.
        only_second: Cases that only the second run has right.
        p: Two-sided exact p value.
        unit: What a case is, `lesion` or `image`.
        cases: How many there are.
    """

    only_first: int
    only_second: int
    p: float
    unit: str
    cases: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class PairedTests:
    """What separates two runs on the same images.

    Args:
        differences: Flat metric name to first minus second.
        mcnemar: McNemar's test.
        level: Level of the differences' intervals.
        draws: Number of draws.
        unit: What was drawn.
    """

    differences: Mapping[str, Difference]
    mcnemar: McNemar
    level: float
    draws: int
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "method": f"paired percentile bootstrap over {self.unit}s",
            "level": self.level,
            "draws": self.draws,
            "differences": {name: d.to_dict() for name, d in self.differences.items()},
            "mcnemar": self.mcnemar.to_dict(),
        }


def bootstrap(
    predictions: Predictions,
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
    malignant: Sequence[str] | None = None,
    curves: bool = True,
) -> Intervals:
    """Return an interval of every metric.

    Args:
        predictions: The part.
        draws: Number of draws.
        level: Coverage of the intervals.
        seed: Seed of the draws.
        malignant: Malignant classes; by their usual names unless given.
        curves: Whether to include areas and operating points, which take most of the time.

    Raises:
        UsageError: `draws` or `level` is outside its range.
    """
    check_draws(draws, level)
    values = drawn_metrics(predictions, draws=draws, seed=seed, malignant=malignant, curves=curves)
    return Intervals(
        by_metric={
            name: percentile_interval(drawn, level) for name, drawn in values.items() if name not in WITHOUT
        },
        level=level,
        draws=draws,
        unit=_unit(predictions),
        units=int(predictions.units.max()) + 1,
        seed=seed,
    )


def drawn_metrics(
    predictions: Predictions,
    *,
    draws: int,
    seed: int,
    malignant: Sequence[str] | None = None,
    curves: bool = True,
) -> dict[str, np.ndarray]:
    """Return flat metric name to its value in each draw, `(draws,)`; arguments as `bootstrap`."""
    scores = WeightedScores(predictions, malignant=malignant, curves=curves)
    parts = [scores(weights) for weights in draw_weights(predictions.units, draws, seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def compare(
    first: Predictions,
    second: Predictions,
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
    malignant: Sequence[str] | None = None,
) -> PairedTests:
    """Test two runs on the same images: paired bootstrap of every metric, and McNemar's test.

    Both runs are drawn with the same lesions, so what is hard for both cancels out.

    Args:
        first: One run's predictions.
        second: The other's, of the same images in any order.
        draws: Number of draws.
        level: Coverage of the intervals of the differences.
        seed: Seed of the draws.
        malignant: Malignant classes; by their usual names unless given.

    Raises:
        DataError: The images, their classes or their true classes differ.
    """
    check_draws(draws, level)
    second = aligned(first, second)
    ours, theirs = (WeightedScores(p, malignant=malignant) for p in (first, second))
    once = np.ones((1, len(first)))
    point = _minus(ours(once), theirs(once))
    parts = [_minus(ours(weights), theirs(weights)) for weights in draw_weights(first.units, draws, seed)]
    differences = {}
    for name, value in point.items():
        if not np.isnan(value[0]) and name not in WITHOUT:
            drawn = np.concatenate([part[name] for part in parts])
            interval = percentile_interval(drawn, level)
            differences[name] = Difference(
                float(value[0]), interval, _two_sided(drawn) if interval is not None else None
            )
    return PairedTests(differences, mcnemar(first, second), level, draws, _unit(first))


def mcnemar(first: Predictions, second: Predictions) -> McNemar:
    """Return McNemar's exact test of two runs, by lesion where lesions have ids and one class each.

    Args:
        first: One run's predictions.
        second: The other's, of the same images.

    Raises:
        DataError: The images, their classes or their true classes differ.
    """
    second = aligned(first, second)
    by_lesion = first.has_lesions and lesions_agree(first)
    if by_lesion:
        # The test takes cases for independent, which images of one lesion are not.
        first, second = (
            per_lesion(first),
            per_lesion(second.with_lesions(first.lesion_id)),
        )
    right = first.predicted == first.true
    other = second.predicted == second.true
    only_first, only_second = int((right & ~other).sum()), int((~right & other).sum())
    p = (
        float(stats.binomtest(only_first, only_first + only_second).pvalue)
        if only_first + only_second
        else 1.0
    )
    return McNemar(only_first, only_second, p, "lesion" if by_lesion else "image", len(first))


def aligned(first: Predictions, second: Predictions) -> Predictions:
    """Return the second run's predictions in the order of the first's images.

    Raises:
        DataError: The images, their classes or their true classes differ.
    """
    if set(first.classes) != set(second.classes):
        raise DataError(
            f"Two runs must have the same classes to be compared. Received: {', '.join(first.classes)} in "
            f"{first.source} and {', '.join(second.classes)} in {second.source}."
        )
    position = {image: i for i, image in enumerate(second.image_id)}
    missing = [image for image in first.image_id if image not in position]
    more = len(second) - (len(first) - len(missing))
    if missing or more:
        example = missing[0] if missing else next(i for i in second.image_id if i not in set(first.image_id))
        raise DataError(
            f"Two runs must predict the same images to be compared. Received: {len(missing):,} images of "
            f"{first.source} are not in {second.source} and {more:,} the other way round, for example "
            f"'{example}'.",
            hint="Evaluate both on the same part of the same split.",
        )
    columns = [second.classes.index(name) for name in first.classes]
    ordered = second.rows(np.array([position[image] for image in first.image_id]))
    found = Predictions(
        first.classes,
        ordered.image_id,
        ordered.lesion_id,
        np.array([columns.index(i) for i in range(len(columns))])[ordered.true],
        ordered.probabilities[:, columns],
        ordered.facts,
        second.source,
    )
    different = np.flatnonzero(found.true != first.true)
    if len(different):
        one = different[0]
        raise DataError(
            f"Two runs must agree on the true classes. Received: image '{first.image_id[one]}' is "
            f"{first.classes[first.true[one]]} in {first.source} and {first.classes[found.true[one]]} in "
            f"{second.source}; {len(different):,} images differ."
        )
    return found


def draw_weights(units: np.ndarray, draws: int, seed: int) -> Iterator[np.ndarray]:
    """Give how often each image counts in each draw, some draws at a time.

    Args:
        units: Unit of each image, from 0, `(n,)`.
        draws: Number of draws.
        seed: Seed; the draws do not depend on how many are given at a time.

    Yields:
        float64, `(some draws, n)`.
    """
    rng = np.random.default_rng(seed)
    count = int(units.max()) + 1
    for start in range(0, draws, _CHUNK):
        some = min(_CHUNK, draws - start)
        chosen = rng.integers(count, size=(some, count))
        flat = (chosen + count * np.arange(some)[:, None]).ravel()
        counts = np.bincount(flat, minlength=count * some).reshape(some, count)
        yield np.take(counts.astype(np.float64), units, axis=1)


def percentile_interval(values: np.ndarray, level: float) -> Interval | None:
    """Return the percentile interval of draws.

    Args:
        values: `(draws,)`; NaN where a draw could not answer.
        level: Coverage.

    Returns:
        None where fewer than half of the draws could answer, or where all of them give one value: too few
        cases then disagree for a bootstrap to tell the uncertainty.
    """
    known = values[~np.isnan(values)]
    if len(known) < max(2, _ENOUGH * len(values)):
        return None
    tail = 50 * (1 - level)
    low, high = np.percentile(known, [tail, 100 - tail])
    return Interval(float(low), float(high), len(known)) if high > low else None


def _two_sided(drawn: np.ndarray) -> float:
    known = drawn[~np.isnan(drawn)]
    # One is added because a p value of 0 would claim more than the draws can show.
    lower, upper = (known <= 0).sum() + 1, (known >= 0).sum() + 1
    return float(min(1.0, 2 * min(lower, upper) / (len(known) + 1)))


def _minus(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: first[name] - second[name] for name in first}


def _unit(predictions: Predictions) -> str:
    return "lesion" if predictions.has_lesions else "image"


def check_draws(draws: int, level: float = LEVEL) -> None:
    """Check what a bootstrap is asked for.

    Args:
        draws: Number of draws.
        level: Level of the intervals.

    Raises:
        UsageError: One of them is out of range.
    """
    if draws < 100:
        raise UsageError(f"`draws` must be at least 100. Received: {draws}.")
    if not 0.5 <= level < 1:
        raise UsageError(f"`level` must lie within 0.5..1. Received: {level:g}.")
