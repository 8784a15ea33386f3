"""What a configuration must fulfil whatever the data are; checked before they are read, without Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from skinzoo.config import RunConfig
from skinzoo.data import protocols
from skinzoo.data.balancing import SYNTHETIC
from skinzoo.data.read import checked_options
from skinzoo.data.splits import Split
from skinzoo.errors import ModelError, UsageError, did_you_mean
from skinzoo.extras import require
from skinzoo.registry import registry
from skinzoo.specs import BackboneSpec, DatasetSpec, LossRequest, LossSpec, VariantSpec
from skinzoo.training import prepare
from skinzoo.training.trackers import check_trackers

WEIGHT_WORDS = ("auto", "none", "imagenet")


def check_settings(config: RunConfig, trackers: Sequence[str] = (), *, begun: bool = False) -> None:
    """Check what can be checked before the data are read.

    Args:
        config: The configuration.
        trackers: Names of `skinzoo.training.trackers.TRACKERS`.
        begun: Whether a run has begun with it, which keeps a split and weights of its own.

    Raises:
        PluginError: A part that no plugin registers.
        UsageError: A setting that does not exist or does not fit the others.
        MissingExtraError: A package that a setting needs is not installed.
        DataError: A split that cannot be read.
        ModelError: Weights that cannot be had.
    """
    check_trackers(trackers, reach=not begun)
    prepare.resolve(config)
    if not begun:
        _check_data(config)
        _check_weights(config)
    _check_loss(config)
    _check_balance(config)
    _check_workers(config)


def _check_data(config: RunConfig) -> None:
    data = config.data
    if data.dataset:
        checked_options(registry().get(DatasetSpec, data.dataset), data.options)
    if data.split:
        Split.load(Path(data.split).expanduser())
    else:
        chosen = protocols.protocol(data.protocol or prepare.DEFAULT_PROTOCOL)
        protocols.checked_options(chosen, data.protocol_options)


def _check_weights(config: RunConfig) -> None:
    weights = config.model.weights
    if weights not in WEIGHT_WORDS and not Path(weights).expanduser().is_file():
        raise ModelError(
            f"`weights` must be {', '.join(WEIGHT_WORDS)} or a file. Received: '{weights}', "
            "which is not a file.",
            hint=did_you_mean(weights, WEIGHT_WORDS) or "Check the path.",
        )
    variant = registry().get(VariantSpec, config.model.variant)
    if weights == "imagenet" and not registry().get(BackboneSpec, variant.backbone).pretrained:
        raise ModelError(
            f"`weights` must be auto, none or a path for '{variant.name}': there are no ImageNet weights "
            "for it. Received: 'imagenet'.",
            hint="Leave it out.",
        )


def _check_loss(config: RunConfig) -> None:
    given = config.loss
    loss = registry().get(LossSpec, given.name)
    for name, value in given.options.items():
        if name not in loss.options:
            raise UsageError(
                f"Loss '{loss.name}' has the options: {', '.join(loss.options) or 'none'}. "
                f"Received: '{name}'.",
                hint=did_you_mean(name, loss.options),
            )
        if _is_number(loss.options[name]) and not _is_number(value):
            raise UsageError(f"`loss.options.{name}` must be a number. Received: {value!r}.")
    if not loss.weighted and given.class_weights != "from_counts":
        raise UsageError(
            f"`loss.class_weights` must be left out for loss '{loss.name}', which takes none. "
            f"Received: {given.class_weights!r}.",
            hint=f"Leave it out, or take a loss with weights: {', '.join(_weighted_losses())}.",
        )
    if loss.tabulate is not None and (request := _request_without_data(config)) is not None:
        loss.tabulate(request)


def _request_without_data(config: RunConfig) -> LossRequest | None:
    """Return a request for classes that fit what is given, or None where only the data can tell them."""
    weights, options = config.loss.class_weights, config.loss.options
    tables = [value for value in (weights, *options.values()) if isinstance(value, Mapping)]
    names = tuple(dict.fromkeys(str(name) for table in tables for name in table))
    wanted = max(2, len(names)) if isinstance(weights, str) else len(weights)
    if len(names) > wanted:
        return None
    classes = (*names, *(f"class {i}" for i in range(wanted - len(names))))
    return LossRequest(
        class_counts=(1,) * wanted,
        class_names=classes,
        class_weights=prepare.weights_in_order(weights, classes),
        options=options,
    )


def _check_balance(config: RunConfig) -> None:
    method = config.balance.method
    if method not in SYNTHETIC:
        return
    if config.training.method != "finetune":
        raise UsageError(
            f"`balance.method` must repeat or leave out rows for method '{config.training.method}'. "
            f"Received: '{method}'.",
            hint="Use --set balance.method=oversample.",
        )
    require("imblearn", extra="balance", purpose=f"Balancing by '{method}'")


def _check_workers(config: RunConfig) -> None:
    workers, training = config.hardware.workers, config.training
    if workers == 1:
        return
    require("ray", extra="ray", purpose=f"Training on {workers} workers")
    if training.method != "finetune":
        raise UsageError(
            f"`hardware.workers` must be 1 for method '{training.method}'. Received: {workers}.",
            hint="Features are computed by one process; leave --workers out.",
        )
    if training.batch_size % workers:
        raise UsageError(
            f"`training.batch_size` must be a multiple of the {workers} workers that share a batch. "
            f"Received: {training.batch_size}.",
            hint=f"Use --batch-size {-(-training.batch_size // workers) * workers}.",
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _weighted_losses() -> list[str]:
    parts = registry()
    return [name for name in parts.names(LossSpec.kind) if parts.get(LossSpec, name).weighted]
