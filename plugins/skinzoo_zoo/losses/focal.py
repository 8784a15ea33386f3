"""Focal losses: plain and class-weighted."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from skinzoo.api import LossRequest, LossSpec, Source, hookimpl
from skinzoo_zoo.losses.class_weights import balanced
from skinzoo_zoo.losses.request import class_weights, options_of, usage_errors

if TYPE_CHECKING:
    import keras

_LIN = Source(
    title="Focal Loss for Dense Object Detection", authors="Lin et al. 2017", url="arXiv:1708.02002"
)
_OPTIONS = MappingProxyType({"gamma": 2.0})
_SOFTMAX = (
    "p is the softmax probability of the class; the paper, a detector's, has one sigmoid a class.",
    "A soft label counts class by class: -sum_c W_c y_c (1 - p_c)^gamma log p_c.",
)


@hookimpl
def skinzoo_losses() -> list[LossSpec]:
    """Return the focal losses."""
    return [
        LossSpec(
            name="focal",
            title="Focal loss, every class alike",
            source=_LIN,
            notes=_SOFTMAX,
            options=_OPTIONS,
            build=_focal,
        ),
        LossSpec(
            name="weighted_focal",
            title="Focal loss, weights N / (C N_c)",
            source=_LIN,
            notes=(*_SOFTMAX, "The weights take the place of the paper's alpha."),
            weighted=True,
            options=_OPTIONS,
            build=_weighted_focal,
            tabulate=_weights,
        ),
    ]


def _focal(request: LossRequest) -> keras.losses.Loss:
    from skinzoo_zoo.losses.focal_loss import ClassWeightedFocalCrossentropy

    options = options_of(request, "focal", _OPTIONS)
    with usage_errors("focal"):
        return ClassWeightedFocalCrossentropy(**options, name="focal")


def _weighted_focal(request: LossRequest) -> keras.losses.Loss:
    from skinzoo_zoo.losses.focal_loss import ClassWeightedFocalCrossentropy

    options = options_of(request, "weighted_focal", _OPTIONS)
    weights = _weights(request)
    with usage_errors("weighted_focal"):
        return ClassWeightedFocalCrossentropy(class_weights=weights, **options, name="weighted_focal")


def _weights(request: LossRequest) -> tuple[float, ...]:
    return class_weights(request, "weighted_focal", balanced)
