"""What a training would be: settings, cases, steps, size, and time and memory measured on a few steps."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skinzoo.config import RunConfig, make_config
from skinzoo.data.balancing import SYNTHETIC
from skinzoo.quiet import import_keras
from skinzoo.training import prepare
from skinzoo.training.checks import check_settings
from skinzoo.training.feature_cache import BATCH as FEATURE_BATCH
from skinzoo.training.feature_cache import forward_of
from skinzoo.training.features import FEATURES, split_at_features
from skinzoo.training.hardware import restore_policy
from skinzoo.training.optimizers import build_optimizer
from skinzoo.training.schedule import phases
from skinzoo.training.smaller import small_size, smaller

if TYPE_CHECKING:
    import keras

TIMED_STEPS = 5


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a training would be.

    Args:
        settings: The resolved configuration.
        recipe_hash: Hash of the recipe's settings.
        variant: The variant with every choice made.
        parts: Cases of each part.
        split: Protocol and hash of the split.
        notices: What the user should know.
        parameters: Weights in all.
        trainable: Trainable weights.
        steps: Steps of an epoch.
        steps_are_estimated: Whether the balancing method fixes their number only when it is carried out.
        epochs: Most epochs.
        seconds_per_step: Measured on synthetic images, or on synthetic features where these are trained on.
        feature_seconds: Estimate for computing the features; None where images are trained on.
        hours: Estimate for features and all epochs, validation included; early stopping may end sooner.
        memory_gib: Largest memory of this process, measured on these steps; 0 where the system does not say.
        disk_gib: Decoded images, features and checkpoints.
        changes: Settings that are neither the recipe's nor the usual ones, as `section.key` to value.
        devices: What it would run on.
        precision: Arithmetic.
    """

    settings: Mapping[str, Any]
    recipe_hash: str
    variant: Mapping[str, Any]
    parts: Mapping[str, int]
    split: Mapping[str, Any]
    notices: tuple[str, ...]
    parameters: int
    trainable: int
    steps: int
    steps_are_estimated: bool
    epochs: int
    seconds_per_step: float
    feature_seconds: float | None
    hours: float
    memory_gib: float
    disk_gib: float
    changes: Mapping[str, Any]
    devices: tuple[str, ...]
    precision: str


def make_plan(config: RunConfig) -> Plan:
    """Find out what a training would be, without decoding an image or writing anything.

    The backbone's weights are random here: they change neither time nor memory.

    Raises:
        SkinzooError: What `train` would raise for these settings.
    """
    import_keras()
    from skinzoo.model import count_parameters

    check_settings(config)
    cases = prepare.read_cases(config)
    variant = prepare.resolve(config, cases)
    part = cases.part("train")
    prepare.check_batch_size(config, len(part))
    # Synthetic rows exist only after images are decoded, but every class comes to about the largest one.
    estimated = config.balance.method in SYNTHETIC and config.training.steps_per_epoch is None
    counts_of_classes = cases.training_counts()
    rows = (
        len(counts_of_classes) * max(counts_of_classes)
        if estimated
        else prepare.order_of_epochs(config, part).length
    )
    steps = -(-rows // config.training.batch_size)
    hardware = prepare.hardware_of(config)
    try:
        with hardware.strategy.scope():
            model, _, _ = prepare.build(config.changed("model", weights="none"), variant, cases)
            counts = count_parameters(model)
            shrunk, reason = smaller(config, variant, model)
            loss, _ = prepare.build_loss(config, cases)
            extractor, trained = None, model
            if config.training.method == "finetune":
                model.get_layer("backbone").trainable = not config.training.freeze_backbone
            else:
                extractor, trained = split_at_features(config, model)
                model.get_layer("backbone").trainable = False
            trained.compile(
                optimizer=build_optimizer(config.optimizer, config.optimizer.learning_rate),
                loss=loss,
                jit_compile=config.hardware.xla,
            )
        times = _timed(config, trained, extractor, variant.image_size, len(cases.classes))
    finally:
        restore_policy()
    validation = len(cases.part("validation"))
    validated = validation / config.training.validation_batch_size
    disk = len(cases.table) * variant.image_size**2 * 3
    disk += (3 * _weights(trained.trainable_variables) + 2 * _weights(trained.variables)) * 4
    plan = phases(config, pretrained=True, small=shrunk is not None)
    # A step's time grows with the pixels.
    share = (small_size(config, variant) / variant.image_size) ** 2
    epochs = sum((p.stop - p.start) * (share if p.small else 1) for p in plan)
    feature_seconds = None
    if extractor is not None and times.features is not None:
        views = len(part) * config.training.views + validation
        feature_seconds = views / FEATURE_BATCH * times.features
        disk += views * math.prod(extractor.output.shape[1:]) * 2
    return Plan(
        settings=config.as_dict(),
        recipe_hash=config.recipe_hash,
        variant=variant.describe(),
        parts={name: sum(found.values()) for name, found in cases.split.counts.items()},
        split={
            "protocol": cases.split.protocol,
            "hash": cases.split.hash,
            "stamps": list(cases.split.stamps),
        },
        notices=(
            *prepare.part_notices(variant),
            *prepare.case_notices(cases, config),
            *([reason] if reason else []),
        ),
        parameters=counts.total,
        trainable=_weights(trained.trainable_variables),
        steps=steps,
        steps_are_estimated=estimated,
        epochs=plan[-1].stop,
        seconds_per_step=times.step,
        feature_seconds=feature_seconds,
        hours=((feature_seconds or 0.0) + epochs * (steps * times.step + validated * times.validation))
        / 3600,
        memory_gib=_peak_memory() / 2**30,
        disk_gib=disk / 2**30,
        changes=_changes(config),
        devices=hardware.devices,
        precision=hardware.precision,
    )


@dataclass(frozen=True)
class _Times:
    step: float
    validation: float
    features: float | None


def _timed(
    config: RunConfig, trained: keras.Model, extractor: keras.Model | None, size: int, classes: int
) -> _Times:
    """Time a step, a batch of validation and, for training on features, a batch of these."""
    import tensorflow as tf

    random = np.random.default_rng(0)

    def images(count: int) -> np.ndarray:
        return random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)

    def batch(count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        inputs: dict[str, np.ndarray] = {
            "age": np.full(count, 50, np.float32),
            "sex": np.ones(count, np.int32),
            "localization": np.ones(count, np.int32),
        }
        if extractor is None:
            inputs["image"] = images(count)
        else:
            inputs[FEATURES] = random.random((count, *extractor.output.shape[1:])).astype(np.float16)
        labels: np.ndarray = np.eye(classes, dtype=np.float32)[random.integers(0, classes, count)]
        return inputs, labels

    def timed(action: Any) -> float:
        action()
        began = time.perf_counter()
        for _ in range(TIMED_STEPS):
            action()
        return (time.perf_counter() - began) / TIMED_STEPS

    train, validation = batch(config.training.batch_size), batch(config.training.validation_batch_size)
    features = None
    if extractor is not None:
        forward, pixels = forward_of(extractor), tf.constant(images(FEATURE_BATCH))
        features = timed(lambda: forward(pixels).numpy())
    return _Times(
        step=timed(lambda: trained.train_on_batch(*train)),
        validation=timed(lambda: trained.predict_on_batch(validation[0])),
        features=features,
    )


def _weights(variables: Any) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _changes(config: RunConfig) -> dict[str, Any]:
    """Return what differs from the recipe for the same variant, without what is found out by itself."""
    usual = make_config(config.model.variant, recipe=config.recipe).as_dict()
    return {
        f"{section}.{key}": value
        for section, values in config.as_dict().items()
        if section != "recipe"
        for key, value in values.items()
        if value != usual[section][key]
    }


def _peak_memory() -> int:
    try:
        import resource
    except ModuleNotFoundError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
