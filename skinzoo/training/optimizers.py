"""From settings to a Keras optimiser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skinzoo.settings import OptimizerSettings

if TYPE_CHECKING:
    import keras

NOT_DECAYED = ("bias", "beta", "gamma")


def build_optimizer(
    settings: OptimizerSettings, learning_rate: float, *, replicas: int = 1
) -> keras.optimizers.Optimizer:
    """Return the optimiser; weight decay leaves out biases and the scales of normalisations.

    Args:
        settings: The settings.
        learning_rate: Learning rate to begin with.
        replicas: Devices that share each batch. Keras clips each one's share before they are added, so each
            share is clipped to its part of the norm.
    """
    import keras

    clip_norm = None if settings.clip_norm is None else settings.clip_norm / replicas
    shared: dict[str, Any] = {"learning_rate": learning_rate, "global_clipnorm": clip_norm}
    if settings.name != "adam":
        shared["weight_decay"] = settings.weight_decay
    if settings.name == "sgd":
        shared |= {"momentum": settings.momentum, "nesterov": settings.nesterov}
        shared["weight_decay"] = settings.weight_decay or None
    else:
        shared |= {"beta_1": settings.beta_1, "beta_2": settings.beta_2, "epsilon": settings.epsilon}
    kinds = {"adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW, "sgd": keras.optimizers.SGD}
    optimizer: keras.optimizers.Optimizer = kinds[settings.name](**shared)
    if shared.get("weight_decay"):
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
    return optimizer
