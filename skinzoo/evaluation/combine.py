"""How several models' probabilities become one: mean, weights or a subset, chosen on validation only."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skinzoo.errors import UsageError, one_of
from skinzoo.evaluation.fitting import check_fit_part
from skinzoo.evaluation.intervals import aligned
from skinzoo.evaluation.predictions import Predictions

MEAN, WEIGHTED, SUBSET = "mean", "weighted", "subset"
METHODS = (MEAN, WEIGHTED, SUBSET)
EXHAUSTIVE = 10
"""Members up to which every subset is tried; above, members are added one by one."""
LEAST = 0.001
"""Weights below this become 0: such a member costs its time and changes nothing."""
_STEPS = 10_000


@dataclass(frozen=True)
class Combination:
    """How members are combined.

    Args:
        method: `mean`, `weighted` or `subset`.
        members: Names of the members.
        weights: Weight of each member; they sum to 1.
        part: What it was chosen on, `validation`; empty for the mean, which needs no choice.
        cases: Images that it was chosen on.
        search: How it was chosen.
        criterion: What was made best.
        value: The criterion of the choice on the validation part.
        value_of_mean: The criterion of the mean of all members there.
    """

    method: str
    members: tuple[str, ...]
    weights: tuple[float, ...]
    part: str = ""
    cases: int = 0
    search: str = ""
    criterion: str = ""
    value: float | None = None
    value_of_mean: float | None = None

    @property
    def chosen(self) -> tuple[str, ...]:
        """Members with a weight."""
        return tuple(name for name, weight in zip(self.members, self.weights, strict=True) if weight > 0)

    def __call__(self, probabilities: Sequence[np.ndarray | None]) -> np.ndarray:
        """Return the combined probabilities; those of members without a weight may be None."""
        found = sum(
            weight * np.asarray(one, np.float64)
            for weight, one in zip(self.weights, probabilities, strict=True)
            if weight > 0 and one is not None
        )
        return np.asarray(found)

    def sentence(self) -> str:
        """Return in words how the members are combined and what that was chosen on."""
        if self.method == MEAN:
            return f"mean of {len(self.members)} runs: {', '.join(self.members)}"
        if self.method == SUBSET:
            what = f"mean of {len(self.chosen)} of {len(self.members)} runs: {', '.join(self.chosen)}"
        else:
            named = [f"{name} {weight:.3f}" for name, weight in zip(self.members, self.weights, strict=True)]
            what = f"weighted mean of {len(self.members)} runs: {', '.join(named)}"
        return (
            f"{what}; chosen on {self.cases:,} {self.part} images by {self.search}, "
            f"{self.criterion} there {self.value:.4f} (mean of all {self.value_of_mean:.4f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "method": self.method,
            "members": list(self.members),
            "weights": list(self.weights),
            "chosen": list(self.chosen),
            "chosen_on": self.part or None,
            "cases": self.cases,
            "search": self.search or None,
            "criterion": self.criterion or None,
            "value": self.value,
            "value_of_mean": self.value_of_mean,
            "sentence": self.sentence(),
        }


def check_method(method: str) -> None:
    """Check the name of a method.

    Raises:
        UsageError: There is no such method.
    """
    if method not in METHODS:
        raise one_of("combine", method, METHODS)


def equal(members: Sequence[str]) -> Combination:
    """Return the mean of all members, which needs no data."""
    return Combination(MEAN, tuple(members), (1 / len(members),) * len(members))


def choose(method: str, members: Sequence[str], validation: Sequence[Predictions]) -> Combination:
    """Choose weights or a subset on the validation part.

    * `weighted`: the weights of least log loss, found by expectation maximisation: the members are the fixed
      components of a mixture, whose likelihood has one maximum.
    * `subset`: the subset whose mean has the highest balanced accuracy, then the least log loss; of all
      subsets up to 10 members (Gessert et al. 2020), above by adding members one by one (Caruana et al.
      2004).

    Args:
        method: `mean`, `weighted` or `subset`.
        members: Names of the members.
        validation: Their predictions of the same validation images.

    Raises:
        UsageError: There is no such method, or the predictions are of another part than validation.
        DataError: The members' images or classes differ.
    """
    check_method(method)
    if method == MEAN:
        return equal(members)
    first = validation[0]
    for one in validation:
        check_fit_part(one, f"The {'weights' if method == WEIGHTED else 'subset'} of an ensemble")
    stacked = np.stack([aligned(first, one).probabilities for one in validation])
    if method == WEIGHTED:
        weights, criterion, value = _weights(stacked, first.true), "log loss", _log_loss
        search = "expectation maximisation"
    else:
        weights, search = _subset(stacked, first.true)
        criterion, value = "balanced accuracy", _balanced_accuracy
    return Combination(
        method,
        tuple(members),
        tuple(float(weight) for weight in weights),
        part="validation",
        cases=len(first),
        search=search,
        criterion=criterion,
        value=value(first.true, np.tensordot(weights, stacked, 1)),
        value_of_mean=value(first.true, stacked.mean(axis=0)),
    )


def _weights(stacked: np.ndarray, true: np.ndarray) -> np.ndarray:
    own = np.clip(stacked[:, np.arange(len(true)), true], np.finfo(np.float64).eps, 1.0)
    weights = np.full(len(own), 1 / len(own))
    for _ in range(_STEPS):
        shares = weights[:, None] * own
        updated = (shares / shares.sum(axis=0)).mean(axis=1)
        if np.abs(updated - weights).max() < 1e-9:
            break
        weights = updated
    weights = np.where(weights < LEAST, 0.0, weights)
    return np.asarray(weights / weights.sum())


def _subset(stacked: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, str]:
    count = len(stacked)

    def worth(members: Sequence[int]) -> tuple[float, float]:
        mean = stacked[list(members)].mean(axis=0)
        return _balanced_accuracy(true, mean), -_log_loss(true, mean)

    if count <= EXHAUSTIVE:
        subsets = [s for size in range(1, count + 1) for s in itertools.combinations(range(count), size)]
        best = max(subsets, key=worth)
        search = f"trying all {len(subsets):,} subsets"
    else:
        best, search = (), "adding members one by one"
        value = (-np.inf, -np.inf)
        while len(best) < count:
            grown = max(((*best, one) for one in range(count) if one not in best), key=worth)
            if worth(grown) <= value:
                break
            best, value = grown, worth(grown)
    return np.isin(np.arange(count), best) / len(best), search


def _balanced_accuracy(true: np.ndarray, probabilities: np.ndarray) -> float:
    predicted = probabilities.argmax(axis=1)
    recalls = [(predicted[true == one] == one).mean() for one in np.unique(true)]
    return float(np.mean(recalls))


def _log_loss(true: np.ndarray, probabilities: np.ndarray) -> float:
    own = probabilities[np.arange(len(true)), true]
    return float(-np.log(np.clip(own, np.finfo(np.float64).eps, 1.0)).mean())


def check_several(members: Sequence[str]) -> None:
    """Check that an ensemble has at least two different members.

    Raises:
        UsageError: It has not.
    """
    if len(members) < 2:
        raise UsageError(
            f"An ensemble must have at least two members. Received: {', '.join(members) or 'none'}.",
            hint="Name several runs; see: skinzoo runs",
        )
