"""Several runs as one predictor, each with its own decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skinzoo.data.splits import Split
from skinzoo.errors import DataError, UsageError
from skinzoo.evaluation.combine import MEAN, Combination, check_method, check_several, choose, equal
from skinzoo.evaluation.of_run import predict_part
from skinzoo.evaluation.predictions import Predictions
from skinzoo.evaluation.predictor import Looking, Opened, Origin, Progress, RunPredictor

if TYPE_CHECKING:
    from skinzoo.runs import Run


class EnsemblePredictor:
    """Several runs whose probabilities are combined.

    Args:
        members: The runs, of the same classes and split.
        combination: How they are combined.
        name: What reports call it; made of the members' names unless given.
    """

    def __init__(self, members: Sequence[RunPredictor], combination: Combination, name: str = "") -> None:
        self.members = tuple(members)
        self.combination = combination
        names = [member.name for member in members]
        self.name = name or (
            f"ensemble of {', '.join(names)}" if len(names) <= 3 else f"ensemble of {len(names)} runs"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """The members' classes."""
        return self.members[0].classes

    @property
    def origin(self) -> Origin:
        """What the members state, each thing once."""
        origins = [member.origin for member in self.members]
        variant, recipe, recipe_hash = (
            " + ".join(dict.fromkeys(getattr(origin, name) for origin in origins))
            for name in ("variant", "recipe", "recipe_hash")
        )
        found = self.combination.to_dict() | {
            "variant": variant,
            "recipe": recipe,
            "recipe_hash": recipe_hash,
        }
        return Origin(variant, recipe, recipe_hash, (self.combination.sentence(),), found)

    @property
    def split(self) -> Split:
        """The members' split."""
        return self.members[0].split

    def cases(self, data: str | None) -> tuple[pd.DataFrame, Split]:
        """Return the first member's data, and the split."""
        return self.members[0].cases(data)

    def probabilities(self, part: pd.DataFrame, whole: pd.DataFrame, looking: Looking) -> np.ndarray:
        """Return the combined probabilities; members without a weight are not asked."""
        found = [
            member.probabilities(part, whole, looking) if weight > 0 else None
            for member, weight in zip(self.members, self.combination.weights, strict=True)
        ]
        return self.combination(found)


def open_ensemble(
    runs: Sequence[Run],
    method: str = MEAN,
    *,
    data: str | None = None,
    tta: str = "none",
    progress: Progress | None = None,
    opened: Opened = RunPredictor,
) -> EnsemblePredictor:
    """Return runs as one predictor; weights or subset are chosen on the validation part.

    Args:
        runs: At least two runs.
        method: `mean`, `weighted` or `subset`.
        data: Where the data lie now; where they were at training unless given.
        tta: Kind of test-time augmentation at the choice.
        progress: Called with the numbers of images done and of all images, member after member.
        opened: Makes a predictor of a run.

    Raises:
        UsageError: There is no such method, or the runs do not fit together.
        DataError: The data are not those of the split.
    """
    check_members(runs)
    check_method(method)
    members = [opened(run) for run in runs]
    names = [member.name for member in members]
    if method == MEAN:
        return EnsemblePredictor(members, equal(names))
    validation = validation_of(members, data=data, tta=tta, progress=progress)
    return EnsemblePredictor(members, choose(method, names, validation))


def validation_of(
    members: Sequence[RunPredictor],
    *,
    data: str | None = None,
    tta: str = "none",
    progress: Progress | None = None,
) -> list[Predictions]:
    """Return each member's predictions of the validation part.

    Raises:
        DataError: The data are not those of the split.
    """
    return [predict_part(one, "validation", data=data, tta=tta, progress=progress)[0] for one in members]


def check_members(runs: Sequence[Run]) -> None:
    """Check that runs may be combined: several, different, of the same classes and split.

    Raises:
        UsageError: One run is named twice, or there is only one.
        DataError: Their classes or splits differ.
    """
    check_several([run.name for run in runs])
    paths = [run.path for run in runs]
    for place, run in enumerate(runs):
        if run.path in paths[:place]:
            raise UsageError(
                f"The members of an ensemble must be different runs. Received: '{run.name}' twice."
            )
    first = runs[0]
    for run in runs[1:]:
        if run.classes != first.classes:
            raise DataError(
                f"The members of an ensemble must have the same classes in the same order. Received: "
                f"{', '.join(first.classes)} in '{first.name}' and {', '.join(run.classes)} in '{run.name}'.",
                hint="Combine runs that were trained on the same data.",
            )
    expected = RunPredictor(first).split.hash
    for run in runs[1:]:
        found = RunPredictor(run).split.hash
        if found != expected:
            raise DataError(
                f"The members of an ensemble must stand on the same split: one may have been trained on what "
                f"another is tested on. Received: split {expected} in '{first.name}' and {found} in "
                f"'{run.name}'.",
                hint=f"Train both with the same file: --split {first.path / 'split.json'}",
            )
