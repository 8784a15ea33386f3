"""What an explanation found, image by image and over all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skinzoo.explain.agreement import Agreement
from skinzoo.explain.choices import Choices
from skinzoo.explain.sanity import Sanity
from skinzoo.explain.scoring import ImageScores


@dataclass(frozen=True)
class Explained:
    """One image with its maps.

    Args:
        image_id: Its id.
        pixels: uint8 RGB `(s, s, 3)`, as the model sees it.
        label: True class; empty where unknown.
        predicted: Predicted class.
        probability: Probability of the predicted class.
        target: The class that is explained.
        target_probability: Its probability.
        maps: Map `(h, w)` by method; those of `SIGNED` methods in points of probability.
        heads: `(h, w, heads)`; None where they are not known or not asked for.
        mask: Lesion mask, bool `(s, s)`; None where there is none.
        scores: Agreement of each map with the mask; empty without one.
    """

    image_id: str
    pixels: np.ndarray
    label: str
    predicted: str
    probability: float
    target: str
    target_probability: float
    maps: Mapping[str, np.ndarray]
    heads: np.ndarray | None = None
    mask: np.ndarray | None = None
    scores: Mapping[str, ImageScores] = field(default_factory=dict)

    @property
    def caption(self) -> str:
        """What the model says of it, in one line."""
        words = f"predicted {self.predicted} {self.probability:.2f}"
        if self.label:
            words += f", true {self.label}"
        if self.target != self.predicted:
            words += f"; explained: {self.target} {self.target_probability:.2f}"
        return words

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON, without maps."""
        return {
            "image_id": self.image_id,
            "true": self.label or None,
            "predicted": self.predicted,
            "probability": self.probability,
            "explained": self.target,
            "explained_probability": self.target_probability,
            "heads": 0 if self.heads is None else int(self.heads.shape[-1]),
            "agreement": {
                name: {
                    "share": None if np.isnan(one.share) else one.share,
                    "pointing": None if np.isnan(one.pointing) else one.pointing,
                    "best_iou": float(one.iou.max()),
                }
                for name, one in self.scores.items()
            },
        }


@dataclass(frozen=True)
class Explanation:
    """All that was found.

    Args:
        run: Name of the run.
        facts: Names and values of where everything comes from.
        source: What was explained.
        choices: What was asked for.
        cases: The drawn cases.
        notes: What a reader should know.
        sanity: The sanity checks, where asked for.
        agreement: Agreement with lesion masks, where given.
    """

    run: str
    facts: Mapping[str, str]
    source: str
    choices: Choices
    cases: tuple[Explained, ...]
    notes: tuple[str, ...]
    sanity: Sanity | None = None
    agreement: Agreement | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "run": self.run,
            "facts": dict(self.facts),
            "source": self.source,
            "choices": dataclasses.asdict(self.choices) | {"methods": list(self.choices.methods)},
            "notes": list(self.notes),
            "cases": [case.to_dict() for case in self.cases],
            "sanity": self.sanity.to_dict() if self.sanity else None,
            "agreement": self.agreement.to_dict() if self.agreement else None,
        }
