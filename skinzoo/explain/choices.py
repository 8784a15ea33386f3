"""What of a run's explanation is drawn and measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skinzoo.errors import UsageError, one_of
from skinzoo.evaluation.intervals import DRAWS
from skinzoo.explain.covering import OCCLUSION, SAMPLES, SHAP, load_shap
from skinzoo.explain.maps import ATTENTION, GRADCAM, GRADCAM_PLUS, HEADS
from skinzoo.explain.superpixels import GRID, KINDS, SEGMENTS, superpixels

METHODS = (ATTENTION, HEADS, GRADCAM, GRADCAM_PLUS, OCCLUSION, SHAP)
DEFAULT_METHODS = (ATTENTION, HEADS, GRADCAM, GRADCAM_PLUS, OCCLUSION)
SIGNED = (OCCLUSION, SHAP)
"""Methods whose maps have a sign and a unit."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What is drawn and measured.

    Args:
        methods: Some of `METHODS`.
        target: Name of the class to explain; each image's predicted class unless given.
        superpixels: How images are divided for covering: `grid` or `slic`.
        segments: About how many superpixels.
        shap_samples: Coverings that Kernel SHAP tries.
        sanity: Whether to put the maps to the sanity checks.
        draws: Bootstrap draws of the agreement with masks.
        seed: Seed of all that is drawn at random.

    Raises:
        UsageError: There is no such method or kind of superpixels.
        MissingExtraError: A choice needs a package that is not installed.
    """

    methods: tuple[str, ...] = DEFAULT_METHODS
    target: str | None = None
    superpixels: str = GRID
    segments: int = SEGMENTS
    shap_samples: int = SAMPLES
    sanity: bool = False
    draws: int = DRAWS
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in METHODS:
                raise one_of("methods", name, METHODS)
        if not self.methods:
            raise UsageError(f"`methods` must be some of {', '.join(METHODS)}. Received: none.")
        if self.superpixels not in KINDS:
            raise one_of("superpixels", self.superpixels, KINDS)
        # Here rather than after minutes of work.
        superpixels(np.zeros((16, 16, 3), np.uint8), kind=self.superpixels, segments=self.segments)
        if SHAP in self.methods:
            load_shap()
