"""Guards for what is fitted on one part and used on another."""

from __future__ import annotations

from skinzoo.errors import DataError, UsageError
from skinzoo.evaluation.predictions import Predictions

_HINT = "Fit on the predictions of the validation part."


def check_fit_part(predictions: Predictions, what: str) -> None:
    """Check that the cases may be fitted on, as far as their column `part` tells.

    Raises:
        UsageError: They are of another part than validation.
    """
    if "part" in predictions.facts:
        others = sorted(set(predictions.facts["part"]) - {"", "validation"})
        if others:
            raise UsageError(
                f"{what} must be fitted on the validation part. Received: cases of {', '.join(others)} in "
                f"{predictions.source}.",
                hint=_HINT,
            )


def check_apart(fitted_on: Predictions, used_on: Predictions, what: str) -> None:
    """Check that two parts share no image and no lesion.

    Raises:
        UsageError: They share one.
        DataError: Their classes differ.
    """
    check_classes(fitted_on.classes, used_on, what)
    images = set(fitted_on.image_id) & set(used_on.image_id)
    if images:
        raise UsageError(
            f"{what} must be fitted on other images than it is measured on. Received: {len(images):,} images "
            f"in both, for example '{min(images)}'.",
            hint=_HINT,
        )
    lesions = (set(fitted_on.lesion_id) & set(used_on.lesion_id)) - {""}
    if lesions:
        raise UsageError(
            f"{what} must be fitted on other lesions than it is measured on. Received: {len(lesions):,} "
            f"lesions in both, for example '{min(lesions)}'.",
            hint="Use a split whose parts share no lesion.",
        )


def check_classes(fitted_on: tuple[str, ...], used_on: Predictions, what: str) -> None:
    """Check that what was fitted is used on the classes that it was fitted on.

    Raises:
        DataError: The classes or their order differ.
    """
    if used_on.classes != fitted_on:
        raise DataError(
            f"{what} must be used on the classes of the fit: {', '.join(fitted_on)}. "
            f"Received: {', '.join(used_on.classes)}.",
            hint="Bring the classes of both into the same order.",
        )
