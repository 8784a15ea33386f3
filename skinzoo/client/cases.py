"""A case as a user has it, and what came of it."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path

from skinzoo.client.model import Model
from skinzoo.data.images import inspect_bytes
from skinzoo.errors import DataError, did_you_mean
from skinzoo.vocabulary import AGE_RANGE, MISSING, SEX_ABBREVIATIONS, UNKNOWN, canonical


@dataclass(frozen=True, kw_only=True)
class Case:
    """One image of a lesion with what is known of the patient.

    Args:
        image: Path or bytes of a JPEG, PNG, BMP or GIF file.
        age: Years, as a number or a text; None, NaN, an empty text and `unknown` mean unknown.
        sex: A term of the model's vocabulary; `f` and `m` will do. None and the empty text mean unknown.
        localization: A term of the model's vocabulary; None and the empty text mean unknown.
        id: Given back with the result.
        problem: Why it cannot be used, where its source knows.
    """

    image: str | os.PathLike[str] | bytes
    age: float | str | None = None
    sex: str | None = None
    localization: str | None = None
    id: str = ""
    problem: str = ""

    @property
    def source(self) -> str:
        """The image's path; empty where it was given as bytes."""
        return "" if isinstance(self.image, bytes) else os.fspath(self.image)


@dataclass(frozen=True, kw_only=True)
class ReadyCase:
    """A case that was checked and can be sent.

    Args:
        id: The case's id.
        source: The image's path; empty where it was given as bytes.
        image: Bytes of the image file.
        age: Years; NaN means unknown.
        sex: A term.
        localization: A term.
    """

    id: str
    source: str
    image: bytes
    age: float
    sex: str
    localization: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a model says about one case, or why it says nothing.

    Args:
        id: The case's id.
        image: Path of the case's image; empty where it was given as bytes.
        model: Name of the model that answered.
        version: Its version; 0 where it has none.
        classes: Class names in the order of the probabilities.
        probabilities: The model's probabilities; empty where there is an error.
        predicted_class: The most probable class.
        calibrated: Calibrated probabilities; empty where the model carries no calibration.
        abstain: Whether the model is too unsure to answer; None where it carries no threshold.
        warnings: What was noticed about the case.
        error: Why there is no answer; empty where there is one.
    """

    id: str = ""
    image: str = ""
    model: str = ""
    version: int = 0
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    predicted_class: str = ""
    calibrated: tuple[float, ...] = ()
    abstain: bool | None = None
    warnings: tuple[str, ...] = ()
    error: str = ""

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return not self.error

    def of(self, case: Case | ReadyCase) -> Result:
        """Return it with the case's own id and image."""
        return replace(self, id=case.id, image=case.source)


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Where a model looked.

    Args:
        result: What it says about the case.
        overlay_png: A PNG of the image as the model sees it with the attention map over it; empty where the
            case has an error, or where the server gives the map alone.
        attention: The attention map, rows of values.
    """

    result: Result
    overlay_png: bytes
    attention: tuple[tuple[float, ...], ...]


def ready(case: Case, model: Model, *, any_term: bool = False) -> ReadyCase:
    """Check a case against a model and read its image.

    Args:
        case: The case.
        model: What the server's model takes.
        any_term: Let terms pass that are not in the model's vocabularies; the model treats them as a term
            that it was not trained on.

    Raises:
        DataError: The image or a property cannot be used.
    """
    if case.problem:
        raise DataError(case.problem)
    return ReadyCase(
        id=case.id,
        source=case.source,
        # Metadata first: they cost nothing to check.
        age=_age(case.age),
        sex=_term("sex", case.sex, model.sex, any_term),
        localization=_term("localization", case.localization, model.localization, any_term),
        image=_image(case),
    )


def check_properties(case: Case, model: Model, *, any_term: bool = False) -> None:
    """Check age, sex and localization of a case, and not its image.

    Raises:
        DataError: One of them cannot be used.
    """
    _age(case.age)
    _term("sex", case.sex, model.sex, any_term)
    _term("localization", case.localization, model.localization, any_term)


def _age(value: float | str | None) -> float:
    if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
        return math.nan
    try:
        age = float(value)
    except (TypeError, ValueError):
        age = math.inf
    if not math.isnan(age) and not AGE_RANGE[0] <= age <= AGE_RANGE[1]:
        raise DataError(
            f"`age` must be within {AGE_RANGE[0]:g}..{AGE_RANGE[1]:g} years or unknown. Received: {value!r}."
        )
    return age


def _term(name: str, value: str | None, allowed: tuple[str, ...], any_term: bool) -> str:
    if value is None or value != value:
        return UNKNOWN
    if not isinstance(value, str):
        raise DataError(f"`{name}` must be a text or unknown. Received: {value!r}.")
    term = canonical(value, SEX_ABBREVIATIONS if name == "sex" else {})
    if allowed and term not in allowed and not any_term:
        raise DataError(
            f"`{name}` must be one of {', '.join(allowed)}. Received: '{value}'.",
            hint=did_you_mean(term, allowed),
        )
    return term


def _image(case: Case) -> bytes:
    contents = case.image
    if not isinstance(contents, bytes):
        if not os.fspath(contents):
            raise DataError("A case must have an image. Received: none.")
        try:
            contents = Path(contents).read_bytes()
        except OSError as error:
            raise DataError(
                f"Image file '{case.source}' must be readable. Received: {error.strerror or error}."
            ) from error
    inspect_bytes(contents, name=case.source)
    return contents
