"""Robustness: balanced accuracy on corrupted images, beside that on the images as they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skinzoo.evaluation.corruptions import CORRUPTIONS, STRENGTHS, corruption
from skinzoo.evaluation.intervals import DRAWS, LEVEL, Interval, draw_weights, percentile_interval
from skinzoo.evaluation.of_run import predict_rows
from skinzoo.evaluation.predictions import Predictions
from skinzoo.evaluation.predictor import Looking, Predictor
from skinzoo.evaluation.weighted import WeightedScores

METRIC = "balanced_accuracy"


@dataclass(frozen=True)
class Cell:
    """The score under one corruption at one strength.

    Args:
        corruption: Name of the corruption.
        strength: From 1 to 5.
        balanced_accuracy: Mean recall over the classes present.
        interval: Its interval; None where the draws cannot tell.
        lost: Balanced accuracy of the clean images minus this one.
        lost_interval: Interval of the loss, by paired bootstrap.
    """

    corruption: str
    strength: int
    balanced_accuracy: float
    interval: Interval | None
    lost: float
    lost_interval: Interval | None


@dataclass(frozen=True)
class Robustness:
    """Scores under every corruption.

    Args:
        clean: Balanced accuracy of the images as they are.
        cells: One score a corruption and strength.
        seed: Seed of what depends on chance.
        cases: Number of images.
        unit: What the bootstrap drew, `lesion` or `image`.
        draws: Number of draws.
    """

    clean: float
    cells: tuple[Cell, ...]
    seed: int
    cases: int
    unit: str
    draws: int

    @property
    def corruptions(self) -> tuple[str, ...]:
        """Names of the corruptions."""
        return tuple(dict.fromkeys(cell.corruption for cell in self.cells))

    def of(self, name: str) -> list[Cell]:
        """Return the cells of a corruption, the weakest first."""
        return [cell for cell in self.cells if cell.corruption == name]

    def mean(self, name: str | None = None) -> float:
        """Return the mean score over the strengths of one corruption, or of all of them."""
        cells = self.cells if name is None else self.of(name)
        return float(np.mean([cell.balanced_accuracy for cell in cells]))

    def relative(self, value: float) -> float | None:
        """Return a score as a share of the clean one; None where that is 0."""
        return value / self.clean if self.clean > 0 else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "metric": METRIC,
            "applied_to": "the decoded square, before the model",
            "seed": self.seed,
            "cases": self.cases,
            "intervals": f"paired percentile bootstrap over {self.unit}s",
            "draws": self.draws,
            "level": LEVEL,
            "clean": self.clean,
            "mean": self.mean(),
            "relative_mean": self.relative(self.mean()),
            "corruptions": {
                name: {
                    "what": CORRUPTIONS[name].text,
                    "mean": self.mean(name),
                    "relative_mean": self.relative(self.mean(name)),
                    "strengths": [
                        {
                            "strength": cell.strength,
                            METRIC: cell.balanced_accuracy,
                            "interval": cell.interval.to_dict() if cell.interval else None,
                            "relative": self.relative(cell.balanced_accuracy),
                            "lost": cell.lost,
                            "lost_interval": cell.lost_interval.to_dict() if cell.lost_interval else None,
                        }
                        for cell in self.of(name)
                    ],
                }
                for name in self.corruptions
            },
        }


def measure_robustness(
    predictor: Predictor,
    part: pd.DataFrame,
    whole: pd.DataFrame,
    clean: Predictions,
    *,
    looking: Looking | None = None,
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    draws: int = DRAWS,
    seed: int = 0,
) -> Robustness:
    """Predict corrupted copies of a part and score them.

    Args:
        predictor: Who predicts.
        part: Rows of a canonical table.
        whole: The whole table.
        clean: Predictions of the same rows as they are.
        looking: How images are looked at beside the corruption.
        corruptions: Names of `CORRUPTIONS`.
        draws: Bootstrap draws.
        seed: Seed of the corruptions and of the draws.
    """
    looking = looking or Looking()
    plan = [(name, strength) for name in corruptions for strength in STRENGTHS]
    point, drawn = _balanced(clean, draws, seed)
    cells = []
    for number, (name, strength) in enumerate(plan):
        spoiled = dataclasses.replace(
            looking, alter=corruption(name, strength, seed), progress=_shifted(looking, number, len(plan))
        )
        value, values = _balanced(predict_rows(predictor, part, whole, spoiled), draws, seed)
        cells.append(
            Cell(
                name,
                strength,
                value,
                percentile_interval(values, LEVEL),
                point - value,
                # The same draws of the same lesions: what is hard in both cancels out.
                percentile_interval(drawn - values, LEVEL),
            )
        )
    unit = "lesion" if clean.has_lesions else "image"
    return Robustness(point, tuple(cells), seed, len(clean), unit, draws)


def _balanced(predictions: Predictions, draws: int, seed: int) -> tuple[float, np.ndarray]:
    scores = WeightedScores(predictions, curves=False)
    point = scores(np.ones((1, len(predictions))))[METRIC][0]
    drawn = [scores(weights)[METRIC] for weights in draw_weights(predictions.units, draws, seed)]
    return float(point), np.concatenate(drawn)


def _shifted(looking: Looking, number: int, of: int) -> Any:
    """Return a progress callback that counts all passes as one."""
    if looking.progress is None:
        return None
    told = looking.progress
    return lambda done, total: told(number * total + done, of * total)
