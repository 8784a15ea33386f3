"""Everything that is measured on the predictions of a part, in one object."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from skinzoo import __version__
from skinzoo.data.protocols import LEAKY, NO_LESION_IDS, SELECTION_ON_TEST
from skinzoo.errors import DataError
from skinzoo.evaluation.calibration import (
    TEMPERATURE,
    Abstention,
    Calibration,
    Reliability,
    fit_abstention,
    fit_calibration,
    reliability,
)
from skinzoo.evaluation.conformal import RAPS, Conformal, fit_conformal
from skinzoo.evaluation.fitting import check_apart
from skinzoo.evaluation.intervals import DRAWS, Intervals, PairedTests, bootstrap, compare
from skinzoo.evaluation.metrics import Scores, compute_scores
from skinzoo.evaluation.predictions import Predictions, lesions_agree, per_lesion
from skinzoo.evaluation.subgroups import Subgroups, compute_subgroups

if TYPE_CHECKING:
    from skinzoo.evaluation.ood_of_run import OutOfDistribution
    from skinzoo.evaluation.robustness import Robustness

NOT_STATED = "not stated"
FORMAT = 1


@dataclass(frozen=True)
class Provenance:
    """Where predictions come from; `not stated` where nobody knows.

    Args:
        name: Name of the run, or of the file.
        variant: Name of the variant.
        recipe: Name of the recipe.
        recipe_hash: Hash of the recipe's settings.
        dataset: Name of the dataset.
        protocol: Name of the protocol of the split.
        split_hash: Hash of the split.
        part: The part of the split.
        stamps: What the split cannot do honestly.
        warnings: Sentences of the split.
        steps: How the probabilities came about, such as test-time augmentation or the mean of several runs.
        ensemble: Members and weights of an ensemble; None for one model.
    """

    name: str
    variant: str = NOT_STATED
    recipe: str = NOT_STATED
    recipe_hash: str = NOT_STATED
    dataset: str = NOT_STATED
    protocol: str = NOT_STATED
    split_hash: str = NOT_STATED
    part: str = NOT_STATED
    stamps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    ensemble: Mapping[str, Any] | None = None

    @property
    def leaky(self) -> bool:
        """Whether the scores may owe something to lesions that were trained on."""
        return LEAKY in self.stamps

    @property
    def grave(self) -> bool:
        """Whether the scores must not stand beside those on cases that the model never met."""
        return self.leaky or SELECTION_ON_TEST in self.stamps or self.part == "train"

    def caveats(self) -> list[str]:
        """Return what a reader of the scores must know first, the gravest first."""
        found = []
        if self.leaky:
            found.append(
                f"The protocol '{self.protocol}' is leaky: images of one lesion lie in several parts, so "
                "these scores are higher than those on new patients."
            )
        if SELECTION_ON_TEST in self.stamps:
            found.append(
                f"The protocol '{self.protocol}' selects the model on the cases that it is scored on, so "
                "these scores are too high."
            )
        if self.part == "train":
            found.append("These are cases that the model was trained on: they say nothing about new ones.")
        elif self.part == "validation" and SELECTION_ON_TEST not in self.stamps:
            found.append("These cases chose the best epoch, so the scores are somewhat too high.")
        if NO_LESION_IDS in self.stamps:
            found.append("The data carry no lesion ids: whether lesions lie in several parts is unknown.")
        if self.protocol == NOT_STATED:
            found.append(
                "The predictions do not state the split that they stand on: whether lesions were shared with "
                "the training part is unknown."
            )
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()
        } | {"leaky": self.leaky if self.protocol != NOT_STATED else None}


@dataclass(frozen=True)
class Measured:
    """Metrics with their intervals.

    Args:
        scores: The metrics.
        intervals: Their intervals.
    """

    scores: Scores
    intervals: Intervals

    def to_dict(self) -> dict[str, Any]:
        """Return them as JSON."""
        return {**self.scores.to_dict(), "intervals": self.intervals.to_dict()}


@dataclass(frozen=True)
class Calibrated:
    """What was fitted on validation, and what it does here.

    Args:
        calibration: The calibration.
        conformal: The prediction sets, fitted behind the calibration.
        abstention: The threshold, fitted behind the calibration; None where no threshold reaches the target.
        reliability: Reliability here behind the calibration.
        scores: Metrics here behind the calibration.
        sets: Coverage and size of the sets here.
        answered: Share and accuracy of the answered cases here; None without a threshold.
        problem: Why there is no threshold.
    """

    calibration: Calibration
    conformal: Conformal
    abstention: Abstention | None
    reliability: Reliability
    scores: Scores
    sets: Mapping[str, Any]
    answered: Mapping[str, Any] | None
    problem: str = ""

    def parameters(self) -> dict[str, Any]:
        """Return what was fitted as JSON, for a run or an export to keep."""
        return {
            "calibration": self.calibration.to_dict(),
            "conformal": self.conformal.to_dict(),
            "abstention": self.abstention.to_dict() if self.abstention else None,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            **self.parameters(),
            "calibrated_reliability": self.reliability.to_dict(),
            "calibrated_scores": self.scores.to_dict(),
            "sets": dict(self.sets),
            "answered": dict(self.answered) if self.answered is not None else None,
            "problem": self.problem,
        }


@dataclass(frozen=True)
class Against:
    """Another run on the same cases.

    Args:
        provenance: Where it comes from.
        measured: Its metrics.
        tests: What separates the two.
    """

    provenance: Provenance
    measured: Measured
    tests: PairedTests

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "provenance": self.provenance.to_dict(),
            **self.measured.to_dict(),
            "tests": self.tests.to_dict(),
        }


@dataclass(frozen=True)
class Evaluation:
    """Everything that is measured on a part.

    Args:
        provenance: Where the predictions come from.
        predictions: The predictions.
        by_image: Metrics with an image as case.
        by_lesion: Metrics with a lesion as case; None where no lesion has several images, or one has several
            classes.
        reliability: Reliability of the predictions as they are.
        subgroups: Metrics of groups; None where they were not asked for.
        calibrated: What was fitted on validation; None where no validation predictions were given.
        against: Another run; None where none was given.
        history: The run's history, one mapping an epoch.
        robustness: Scores on corrupted images; None where they were not asked for.
        ood: What tells images of another kind; None where it was not asked for.
    """

    provenance: Provenance
    predictions: Predictions
    by_image: Measured
    by_lesion: Measured | None
    reliability: Reliability
    subgroups: Subgroups | None = None
    calibrated: Calibrated | None = None
    against: Against | None = None
    history: Sequence[Mapping[str, Any]] = field(default=())
    robustness: Robustness | None = None
    ood: OutOfDistribution | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, the predictions left out."""
        return {
            "format": FORMAT,
            "skinzoo": __version__,
            "provenance": self.provenance.to_dict(),
            "caveats": self.provenance.caveats(),
            "by_image": self.by_image.to_dict(),
            "by_lesion": self.by_lesion.to_dict() if self.by_lesion else None,
            "reliability": self.reliability.to_dict(),
            "subgroups": self.subgroups.to_dict() if self.subgroups else None,
            "calibrated": self.calibrated.to_dict() if self.calibrated else None,
            "against": self.against.to_dict() if self.against else None,
            "robustness": self.robustness.to_dict() if self.robustness else None,
            "out_of_distribution": self.ood.to_dict() if self.ood else None,
        }


def evaluate(
    predictions: Predictions,
    provenance: Provenance,
    *,
    validation: Predictions | None = None,
    against: tuple[Predictions, Provenance] | None = None,
    calibration: str = TEMPERATURE,
    conformal: str = RAPS,
    coverage: float = 0.9,
    answer_accuracy: float = 0.95,
    malignant: Sequence[str] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    subgroups: bool = True,
    history: Sequence[Mapping[str, Any]] = (),
) -> Evaluation:
    """Measure everything on the predictions of a part.

    Args:
        predictions: The part.
        provenance: Where they come from.
        validation: Predictions of the validation part, to fit calibration, sets and threshold on.
        against: Another run's predictions of the same images.
        calibration: `temperature` or `vector`.
        conformal: `aps` or `raps`.
        coverage: Coverage of the prediction sets.
        answer_accuracy: Accuracy that the answered cases are to reach.
        malignant: Malignant classes; by their usual names unless given.
        draws: Bootstrap draws; half as many for each subgroup.
        seed: Seed of the draws.
        subgroups: Whether to measure subgroups.
        history: The run's history.

    Raises:
        DataError: The runs are not of the same images, or validation is too small.
        UsageError: Validation shares images or lesions with the part, or an option is out of range.
    """
    measure = functools.partial(_measure, malignant=malignant, draws=draws, seed=seed)
    by_image = measure(predictions)
    several = len(predictions) > int(predictions.units.max()) + 1 and lesions_agree(predictions)
    return Evaluation(
        provenance=provenance,
        predictions=predictions,
        by_image=by_image,
        by_lesion=measure(per_lesion(predictions)) if several else None,
        reliability=reliability(predictions),
        subgroups=compute_subgroups(predictions, draws=max(100, draws // 2), seed=seed, malignant=malignant)
        if subgroups
        else None,
        calibrated=_calibrate(
            predictions, validation, calibration, conformal, coverage, answer_accuracy, malignant
        )
        if validation is not None
        else None,
        against=Against(
            against[1],
            measure(against[0]),
            compare(predictions, against[0], draws=draws, seed=seed, malignant=malignant),
        )
        if against is not None
        else None,
        history=history,
    )


def _measure(predictions: Predictions, *, malignant: Sequence[str] | None, draws: int, seed: int) -> Measured:
    return Measured(
        compute_scores(predictions, malignant=malignant),
        bootstrap(predictions, draws=draws, seed=seed, malignant=malignant),
    )


def _calibrate(
    predictions: Predictions,
    validation: Predictions,
    calibration: str,
    conformal: str,
    coverage: float,
    answer_accuracy: float,
    malignant: Sequence[str] | None,
) -> Calibrated:
    check_apart(validation, predictions, "A calibration")
    fitted = fit_calibration(validation, calibration)
    validation, here = fitted.apply(validation), fitted.apply(predictions)
    sets = fit_conformal(validation, coverage, conformal)
    abstention, problem = None, ""
    try:
        abstention = fit_abstention(validation, answer_accuracy)
    except DataError as error:
        # A weak model has no such threshold, which is a result and no reason to lose the others.
        problem = error.message
    return Calibrated(
        calibration=fitted,
        conformal=sets,
        abstention=abstention,
        reliability=reliability(here),
        scores=compute_scores(here, malignant=malignant),
        sets=sets.measure(here),
        answered=abstention.measure(here) if abstention else None,
        problem=problem,
    )
