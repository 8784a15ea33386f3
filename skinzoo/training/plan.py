"""What a training would be: settings, cases, steps, size, and time and memory measured on a few steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skinzoo.config import RunConfig
from skinzoo.data.balancing import SYNTHETIC
from skinzoo.quiet import import_keras
from skinzoo.training import prepare
from skinzoo.training.checks import check_settings
from skinzoo.training.hardware import restore_policy
from skinzoo.training.optimizers import build_optimizer
from skinzoo.training.schedule import phases

TIMED_STEPS = 3


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
        seconds_per_step: Measured on synthetic images.
        hours: Estimate for all epochs, validation included; early stopping may end sooner.
        memory_gib: Largest memory of this process, measured on these steps; 0 where the system does not say.
        disk_gib: Decoded images and checkpoints.
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
    hours: float
    memory_gib: float
    disk_gib: float
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
            loss, _ = prepare.build_loss(config, cases)
            frozen = config.training.freeze_backbone or config.training.method != "finetune"
            model.get_layer("backbone").trainable = not frozen
            model.compile(
                optimizer=build_optimizer(config.optimizer, config.optimizer.learning_rate),
                loss=loss,
                jit_compile=config.hardware.xla,
            )
        counts = count_parameters(model)
        step, validation = _timed(config, model, variant.image_size, len(cases.classes))
    finally:
        restore_policy()
    validated = len(cases.part("validation")) / config.training.validation_batch_size
    pixels = len(cases.table) * variant.image_size**2 * 3
    checkpoints = (3 * counts.trainable + 2 * counts.total) * 4
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
        notices=tuple(prepare.case_notices(cases, config)),
        parameters=counts.total,
        trainable=counts.trainable,
        steps=steps,
        steps_are_estimated=estimated,
        epochs=phases(config, pretrained=True)[-1].stop,
        seconds_per_step=step,
        hours=config.training.epochs * (steps * step + validated * validation) / 3600,
        memory_gib=_peak_memory() / 2**30,
        disk_gib=(pixels + checkpoints) / 2**30,
        devices=hardware.devices,
        precision=hardware.precision,
    )


def _timed(config: RunConfig, model: Any, size: int, classes: int) -> tuple[float, float]:
    random = np.random.default_rng(0)

    def batch(count: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        inputs: dict[str, np.ndarray] = {
            "image": random.integers(0, 256, (count, size, size, 3), dtype=np.uint8),
            "age": np.full(count, 50, np.float32),
            "sex": np.ones(count, np.int32),
            "localization": np.ones(count, np.int32),
        }
        labels: np.ndarray = np.eye(classes, dtype=np.float32)[random.integers(0, classes, count)]
        return inputs, labels

    def timed(action: Any) -> float:
        action()
        began = time.perf_counter()
        for _ in range(TIMED_STEPS):
            action()
        return (time.perf_counter() - began) / TIMED_STEPS

    train, validation = batch(config.training.batch_size), batch(config.training.validation_batch_size)
    return timed(lambda: model.train_on_batch(*train)), timed(lambda: model.predict_on_batch(validation[0]))


def _peak_memory() -> int:
    try:
        import resource
    except ModuleNotFoundError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
