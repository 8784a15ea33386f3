"""Golden cases: drawn lesions with the probabilities that every way of asking a model must give."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from skinzoo.data.lesion_camera import photograph
from skinzoo.data.lesion_painter import paint_lesion
from skinzoo.data.sample import CLASSES
from skinzoo.errors import ModelError
from skinzoo.export.source import Source
from skinzoo.specs import Vocabularies

WIDTHS = (96, 320)
"""Pixels: below and above what most models see, so that both ways of resizing are proven."""
AGES = (35.0, None, 70.0, 0.0)


@dataclass(frozen=True)
class GoldenCase:
    """One drawn lesion with what is known of a patient who does not exist.

    Args:
        id: Its name.
        image: Bytes of a JPEG or PNG file.
        age: Years; None for unknown.
        sex: A term, or empty for unknown.
        localization: A term, or empty for unknown.
    """

    id: str
    image: bytes
    age: float | None
    sex: str
    localization: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return vars(self) | {"image": base64.b64encode(self.image).decode("ascii")}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> GoldenCase:
        """Read it from JSON."""
        return cls(**{**document, "image": base64.b64decode(document["image"], validate=True)})


@dataclass(frozen=True)
class Golden:
    """Golden cases with their answers.

    Args:
        cases: The cases.
        classes: Class names in the order of the probabilities.
        probabilities: float32 `(cases, classes)`.
        image_only: The same where nothing but the image is known.
    """

    cases: tuple[GoldenCase, ...]
    classes: tuple[str, ...]
    probabilities: np.ndarray
    image_only: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "cases": [case.to_dict() for case in self.cases],
            "classes": list(self.classes),
            "probabilities": self.probabilities.tolist(),
            "image_only": self.image_only.tolist(),
        }


def draw_golden(run: Source) -> Golden:
    """Draw cases and answer them with the model of a run, in this process."""
    cases = tuple(draw_cases(run.vocabularies))
    return Golden(
        cases=cases,
        classes=run.classes,
        probabilities=run.predict([vars(case) for case in cases]).to_numpy(np.float32),
        image_only=run.predict([case.image for case in cases]).to_numpy(np.float32),
    )


def read_golden(path: Path) -> Golden:
    """Read golden cases.

    Raises:
        ModelError: The file is missing or damaged.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Golden(
            cases=tuple(GoldenCase.from_dict(case) for case in document["cases"]),
            classes=tuple(document["classes"]),
            probabilities=np.array(document["probabilities"], np.float32),
            image_only=np.array(document["image_only"], np.float32),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"An export must have readable golden cases. Received: '{path}' ({error}).",
            hint="Export the run again with: skinzoo export RUN",
        ) from error


def draw_cases(vocabularies: Vocabularies) -> Iterator[GoldenCase]:
    """Draw a lesion of each class of the sample and a PNG; some facts are unknown, one is in capitals."""
    # A term a case, then nothing known of sex or localization.
    sexes = ("", *vocabularies.sex.terms)
    localizations = (*vocabularies.localization.terms[:5], "")
    for number, label in enumerate((*CLASSES, CLASSES[-3])):
        rng = np.random.default_rng([number, 6])
        width = WIDTHS[number % len(WIDTHS)]
        canvas = paint_lesion(label, rng, resolution=round(width * 1.7))
        picture = Image.fromarray(photograph(canvas, rng, width=width, height=width * 3 // 4))
        stream = io.BytesIO()
        if number == len(CLASSES):
            picture.save(stream, "PNG")
        else:
            picture.save(stream, "JPEG", quality=92)
        localization = localizations[number % len(localizations)]
        yield GoldenCase(
            id=f"golden-{number + 1}",
            image=stream.getvalue(),
            age=AGES[number % len(AGES)],
            sex=sexes[number % len(sexes)],
            localization=f" {localization.upper()} " if number == 1 else localization,
        )
