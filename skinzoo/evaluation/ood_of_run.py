"""How well a run notices images of another kind: another dataset, or a class that it was trained without."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skinzoo.data.pipeline import label_indices
from skinzoo.data.read import read_dataset, resolve_data
from skinzoo.errors import DataError, UsageError, did_you_mean
from skinzoo.evaluation.intervals import DRAWS, LEVEL
from skinzoo.evaluation.ood import NormalityScores, Separation, separation
from skinzoo.evaluation.predictor import BATCH_SIZE, Progress, RunPredictor, answering, batches
from skinzoo.files import replacing

if TYPE_CHECKING:
    from skinzoo.runs import Run

SCORES_FILE = "ood_scores.csv"


@dataclass(frozen=True)
class OutOfDistribution:
    """What the scores of normality can tell apart.

    Args:
        separations: One for each score.
        table: One row an image: `image_id`, `dataset`, `label`, `out`, and one column a score.
        part: Part of the split whose images are the normal ones.
        other: What the others are.
        fitted_on: Training images that the scores were fitted on.
        features: Length of the feature vectors.
        without_forest: Classes with too few training images for a forest.
        shrinkage: How far the covariance was shrunk, 0..1.
        draws: Bootstrap draws.
        seed: Seed of forests and draws.
    """

    separations: tuple[Separation, ...]
    table: pd.DataFrame
    part: str
    other: str
    fitted_on: int
    features: int
    without_forest: tuple[str, ...]
    shrinkage: float
    draws: int
    seed: int

    @property
    def cases(self) -> tuple[int, int]:
        """Numbers of normal and of other images."""
        out = int(self.table["out"].sum())
        return len(self.table) - out, out

    def write_scores(self, folder: Path) -> Path:
        """Write the scores of every image as CSV and return the file."""
        path = folder / SCORES_FILE
        with replacing(path) as temporary:
            self.table.to_csv(temporary, index=False, lineterminator="\n")
        return path

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        normal, out = self.cases
        return {
            "part": self.part,
            "other": self.other,
            "cases": normal,
            "other_cases": out,
            "fitted_on": {"part": "train", "images": self.fitted_on},
            "features": self.features,
            "classes_without_forest": list(self.without_forest),
            "covariance_shrinkage": self.shrinkage,
            "intervals": "percentile bootstrap over lesions of both kinds",
            "level": LEVEL,
            "draws": self.draws,
            "seed": self.seed,
            "scores": [one.to_dict() for one in self.separations],
        }


def measure_ood(
    run: Run,
    other: str,
    *,
    dataset: str | None = None,
    left_out: str | None = None,
    part: str = "test",
    data: str | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    progress: Progress | None = None,
) -> OutOfDistribution:
    """Fit scores of normality on a run's training part and measure what they tell apart.

    Args:
        run: The run.
        other: Folder, file or name of the data of another kind.
        dataset: Which dataset that is; recognised unless given.
        left_out: Take only its cases of this class, which the run was trained without.
        part: Part whose images are the normal ones, not `train`.
        data: Where the run's data lie now; where they were at training unless given.
        draws: Bootstrap draws.
        seed: Seed of forests and draws.
        progress: Called with the numbers of images done and of all images.

    Raises:
        UsageError: The part is the one fitted on, or the class is one that the run was trained with.
        DataError: The other data hold images of the run's split, or no case of the class.
        ModelError: The run is an ensemble, which has several backbones.
    """
    check_left_out(left_out, run.classes)
    predictor = RunPredictor(run)
    whole, split = predictor.cases(data)
    if split.resolve(part) == "train":
        raise UsageError("--part must not be the part that is fitted on. Received: train.")
    train, normal = split.part(whole, "train"), split.part(whole, part)
    if normal.empty:
        raise DataError(f"The {part} part of '{run.name}' must hold cases. Received: none.")
    others, everything = _other_cases(run, other, dataset, left_out, set(split.assignment))
    extract = _Extractor(run, len(train) + len(normal) + len(others), progress)
    features, _ = extract(train, whole)
    fitted = NormalityScores(features, label_indices(train["label"], run.classes), run.classes, seed=seed)
    ours, theirs = fitted(*extract(normal, whole)), fitted(*extract(others, everything))
    separations = tuple(
        separation(
            name,
            ours[name],
            theirs[name],
            normal_units=_units(normal),
            other_units=_units(others),
            draws=draws,
            seed=seed,
        )
        for name in ours
    )
    rows = [
        pd.DataFrame(
            {"image_id": cases["image_id"], "dataset": cases["dataset"], "label": cases["label"], "out": out}
            | scores
        )
        for cases, scores, out in ((normal, ours, 0), (others, theirs, 1))
    ]
    return OutOfDistribution(
        separations=separations,
        table=pd.concat(rows, ignore_index=True),
        part=split.resolve(part),
        other=str(everything.attrs["dataset"]) + (f", class {left_out}" if left_out is not None else ""),
        fitted_on=len(train),
        features=features.shape[1],
        without_forest=fitted.without_forest,
        shrinkage=fitted.shrinkage,
        draws=draws,
        seed=seed,
    )


def check_left_out(name: str | None, classes: tuple[str, ...]) -> None:
    """Check that a class is one that a run was trained without.

    Raises:
        UsageError: It is one of its classes.
    """
    if name in classes:
        raise UsageError(
            f"--ood-class must be a class that the run was trained without. Received: '{name}', one of its "
            f"classes: {', '.join(classes)}.",
            hint="Train a run on data without the class, then name it here.",
        )


def _other_cases(
    run: Run, other: str, dataset: str | None, left_out: str | None, known: set[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    found = resolve_data(other, option="--ood")
    everything = read_dataset(found.path, dataset or found.dataset)
    cases = everything
    if left_out is not None:
        cases = everything[everything["label"] == left_out].reset_index(drop=True)
        if cases.empty:
            names = sorted(set(everything["label"]))
            raise DataError(
                f"The data of --ood must hold cases of class '{left_out}'. Received: {', '.join(names)}.",
                hint=did_you_mean(left_out, names),
            )
    shared = known & set(cases["image_id"])
    if shared:
        raise DataError(
            f"Data of another kind must hold no image of the run's own split. Received: {len(shared):,}, for "
            f"example '{min(shared)}'.",
            hint="Give another dataset with --ood, or with --ood-class a class that the run does not know.",
        )
    return cases, everything


class _Extractor:
    """Pooled backbone features and logits of a run, counted as one pass over several tables."""

    def __init__(self, run: Run, total: int, progress: Progress | None) -> None:
        import keras

        from skinzoo.model import feature_map
        from skinzoo.model.assembly import PROBABILITIES_LAYER

        self._run, self._total, self._progress, self._done = run, total, progress, 0
        pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(feature_map(run.model))
        logits = run.model.get_layer(PROBABILITIES_LAYER).input
        self._answer = answering(keras.Model(run.model.input, [pooled, logits]))

    def __call__(self, part: pd.DataFrame, whole: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        # The labels go with the batches and are not used; those of other data may be no class of the run.
        part = part.assign(label=self._run.classes[0])
        found = []
        for inputs, _ in batches(self._run, part, whole, BATCH_SIZE).numpy_batches():
            found.append(self._answer(inputs))
            self._done += len(found[-1][0])
            if self._progress is not None:
                self._progress(self._done, self._total)
        features, logits = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return features, logits


def _units(cases: pd.DataFrame) -> np.ndarray:
    names = [
        f"lesion {lesion}" if isinstance(lesion, str) and lesion else f"image {image}"
        for lesion, image in zip(cases["lesion_id"], cases["image_id"], strict=True)
    ]
    return np.unique(np.array(names, dtype=object), return_inverse=True)[1]
