"""The multi-weighted loss with cumulative learning, and the callback that drives loss schedules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skinzoo.api import LossRequest, LossSpec, Source, UsageError, hookimpl, one_of
from skinzoo_zoo.losses.checks import MOST_POWER, number, weight_vector
from skinzoo_zoo.losses.class_weights import inverse_power
from skinzoo_zoo.losses.request import class_weights, options_of, refuse_unused, usage_errors

if TYPE_CHECKING:
    import keras

_NAME = "mwnl"
_ALPHA = 1.1
_OPTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "gamma": 2.0,
        "threshold": 0.1,
        "alpha": _ALPHA,
        "class_factors": MappingProxyType({}),
        "start_epoch": 20,
        "end_epoch": 60,
        "normalise": True,
    }
)
_WEIGHT_OPTIONS = ("alpha", "class_factors")


@hookimpl
def skinzoo_losses() -> list[LossSpec]:
    """Return the multi-weighted loss."""
    return [
        LossSpec(
            name=_NAME,
            title="Multi-weighted loss with the cumulative learning schedule",
            source=Source(
                title="Single Model Deep Learning on Imbalanced Small Datasets "
                "for Skin Lesion Classification",
                authors="Yao et al. 2022",
                url="arXiv:2102.01284",
            ),
            notes=(
                "The paper applies a sigmoid to each class's logit. The models here give softmax "
                "probabilities, which hold the logits up to one constant a case; our choice is "
                "z_i = log p_i - mean_j log p_j.",
                "Weights: C_c (1 / N_c)^alpha, C_c from option `class_factors` (a table of class name to "
                "factor, 1 where none is given). The weights of epoch E are W_c^ramp(E), ramp from 0 before "
                "`start_epoch` to 1 from `end_epoch` on, epochs counted from 0; so the class factor is "
                "ramped the same way.",
                "With `normalise` (our default; the paper does not state it) the weights of each epoch "
                "are scaled to a mean of 1; without, they are the printed ones, 1e-3 to 1e-5 at the "
                "counts of HAM10000.",
                "A soft label counts as the mixture of its cases (our choice).",
                "The loss's scale changes with the epoch, so the training loss of different epochs "
                "cannot be compared; `val_loss`, the unweighted cross-entropy, can.",
            ),
            weighted=True,
            options=_OPTIONS,
            build=_build,
            tabulate=_weights,
        )
    ]


@hookimpl
def skinzoo_callbacks(run: Path) -> list[keras.callbacks.Callback]:
    """Return the callback that calls `set_epoch(epoch)` of any loss that has it."""
    from skinzoo_zoo.losses.multi_weighted_loss import LossSchedule

    return [LossSchedule()]


def _build(request: LossRequest) -> keras.losses.Loss:
    from skinzoo_zoo.losses.multi_weighted_loss import MultiWeightedLoss

    options = options_of(request, _NAME, _OPTIONS)
    weights = _weights(request)
    for name in _WEIGHT_OPTIONS:
        del options[name]
    with usage_errors(_NAME):
        return MultiWeightedLoss(class_weights=weights, **options, name=_NAME)


def _weights(request: LossRequest) -> tuple[float, ...]:
    options = options_of(request, _NAME, _OPTIONS)
    refuse_unused(request, _NAME, options, "alpha", _ALPHA)
    with usage_errors(_NAME):
        alpha = number("alpha", options["alpha"], least=0, most=MOST_POWER)
    base = class_weights(request, _NAME, lambda counts: inverse_power(counts, alpha))
    factors = _class_factors(request, options["class_factors"])
    with usage_errors(_NAME):
        weights = weight_vector(
            "class_weights times class_factors", [f * w for f, w in zip(factors, base, strict=True)]
        )
    if options["normalise"]:
        mean = sum(weights) / len(weights)
        weights = tuple(weight / mean for weight in weights)
    return weights


def _class_factors(request: LossRequest, factors: object) -> tuple[float, ...]:
    if not isinstance(factors, Mapping):
        raise UsageError(
            f"`class_factors` of loss '{_NAME}' must be a table of class name to factor. "
            f"Received: {factors!r}."
        )
    for name in factors:
        if name not in request.class_names:
            raise one_of(f"class_factors of loss '{_NAME}'", str(name), request.class_names)
    with usage_errors(_NAME):
        given = {name: number(f"class_factors.{name}", factor, least=0) for name, factor in factors.items()}
    return tuple(given.get(name, 1.0) for name in request.class_names or [""] * len(request.class_counts))
