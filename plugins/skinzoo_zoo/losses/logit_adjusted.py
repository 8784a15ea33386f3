"""Logit-adjusted cross-entropy."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from skinzoo.api import LossRequest, LossSpec, Source, hookimpl
from skinzoo_zoo.losses.request import class_counts, options_of, usage_errors

if TYPE_CHECKING:
    import keras

_NAME = "logit_adjusted_ce"
_OPTIONS = MappingProxyType({"tau": 1.0})


@hookimpl
def skinzoo_losses() -> list[LossSpec]:
    """Return the logit-adjusted loss."""
    return [
        LossSpec(
            name=_NAME,
            title="Cross-entropy of softmax(log p + tau log prior)",
            source=Source(
                title="Long-tail learning via logit adjustment",
                authors="Menon et al. 2021",
                url="arXiv:2007.07314",
            ),
            notes=(
                "The prior is the class share in the training part; no class weights are taken.",
                "Only the loss is adjusted: the model's own probabilities are meant for balanced classes.",
            ),
            options=_OPTIONS,
            build=_build,
        )
    ]


def _build(request: LossRequest) -> keras.losses.Loss:
    from skinzoo_zoo.losses.logit_adjusted_loss import LogitAdjustedCrossentropy

    options = options_of(request, _NAME, _OPTIONS)
    counts = class_counts(request)
    with usage_errors(_NAME):
        return LogitAdjustedCrossentropy(class_prior=counts, **options, name=_NAME)
