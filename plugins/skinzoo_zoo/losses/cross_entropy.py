"""Cross-entropy losses: plain, class-weighted, label-smoothed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from skinzoo.api import LossRequest, LossSpec, Source, hookimpl
from skinzoo_zoo.losses.checks import MOST_POWER, number
from skinzoo_zoo.losses.class_weights import balanced, inverse_share, normalised_inverse
from skinzoo_zoo.losses.request import class_weights, options_of, refuse_unused, usage_errors

if TYPE_CHECKING:
    import keras

_NGUYEN = Source(
    title="Skin Lesion Classification on Imbalanced Data Using Deep Learning with Soft Attention",
    authors="Nguyen et al. 2022",
    url="https://doi.org/10.3390/s22197530",
)
_GESSERT = Source(
    title="Skin lesion classification using ensembles of multi-resolution EfficientNets with meta data",
    authors="Gessert et al. 2020",
    url="https://doi.org/10.1016/j.mex.2020.100864",
)
_SMOOTHING = Source(
    title="Rethinking the Inception Architecture for Computer Vision",
    authors="Szegedy et al. 2016",
    url="arXiv:1512.00567",
)
_SOFT_LABELS = "A soft label is weighted class by class: -sum_c W_c y_c log p_c."
_PLAIN: Mapping[str, Any] = MappingProxyType({})
_POWER: Mapping[str, Any] = MappingProxyType({"power": 1.0})


@hookimpl
def skinzoo_losses() -> list[LossSpec]:
    """Return the cross-entropy losses."""
    return [
        LossSpec(name="ce", title="Cross-entropy, every class alike", build=partial(_unweighted, "ce", {})),
        LossSpec(
            name="label_smoothing_ce",
            title="Cross-entropy with smoothed labels",
            source=_SMOOTHING,
            options=MappingProxyType({"label_smoothing": 0.1}),
            build=partial(_unweighted, "label_smoothing_ce", {"label_smoothing": 0.1}),
        ),
        _weighted(
            "weighted_ce",
            "Cross-entropy, weights N / (C N_c)",
            balanced,
            _POWER,
            source=_NGUYEN,
            notes=(
                "The papers' weights come from the counts of all 10015 images; `from_counts` takes those "
                "of the training part.",
                "Option `power` is ours: the weights are (N / (C N_c))^power.",
                _SOFT_LABELS,
            ),
        ),
        _weighted(
            "inverse_share_ce",
            "Cross-entropy, weights N / N_c",
            inverse_share,
            _POWER,
            source=_GESSERT,
            notes=(
                "Option `power` is the k of Gessert et al.: the weights are (N / N_c)^k.",
                "With power 1 the weights are C times those of weighted_ce: same balance, larger scale.",
                _SOFT_LABELS,
            ),
        ),
        _weighted(
            "normalised_inverse_ce",
            "Cross-entropy, weights (1 / N_c) / sum_j (1 / N_j)",
            normalised_inverse,
            _PLAIN,
            source=_NGUYEN,
            notes=(
                "The paper's 'NW' vector: the balance of weighted_ce at about 1/32 of its scale on HAM10000. "
                "With Adam and a large epsilon that shrinks the steps; the balance stays.",
                _SOFT_LABELS,
            ),
        ),
    ]


def _unweighted(loss: str, defaults: Mapping[str, Any], request: LossRequest) -> keras.losses.Loss:
    from skinzoo_zoo.losses.cross_entropy_loss import ClassWeightedCrossentropy

    options = options_of(request, loss, defaults)
    with usage_errors(loss):
        return ClassWeightedCrossentropy(**options, name=loss)


def _weighted(
    loss: str,
    title: str,
    formula: Callable[..., tuple[float, ...]],
    defaults: Mapping[str, Any],
    *,
    source: Source,
    notes: tuple[str, ...],
) -> LossSpec:
    def tabulate(request: LossRequest) -> tuple[float, ...]:
        options = options_of(request, loss, defaults)
        if "power" in options:
            refuse_unused(request, loss, options, "power", 1.0)
            with usage_errors(loss):
                options["power"] = number("power", options["power"], least=0, most=MOST_POWER)
        return class_weights(request, loss, partial(formula, **options))

    def build(request: LossRequest) -> keras.losses.Loss:
        from skinzoo_zoo.losses.cross_entropy_loss import ClassWeightedCrossentropy

        return ClassWeightedCrossentropy(class_weights=tabulate(request), name=loss)

    return LossSpec(
        name=loss,
        title=title,
        source=source,
        notes=notes,
        weighted=True,
        options=defaults,
        build=build,
        tabulate=tabulate,
    )
