"""Batch normalisation in a fine-tuned backbone.

Keras' MobileNets carry momentum 0.99 to 0.999: in the first epochs the running statistics are still those of
ImageNet's features, so validation is near chance while training is good.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


def batch_normalisations(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the batch normalisations of a model and of the models in it."""
    import keras

    from skinzoo.model.description import leaf_layers

    return [layer for layer in leaf_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]


def running_statistics(model: keras.Model) -> list[Any]:
    """Return the running means and variances of a model."""
    return [v for layer in batch_normalisations(model) for v in (layer.moving_mean, layer.moving_variance)]


def override_momentum(model: keras.Model, momentum: float) -> None:
    """Lower the momentum of every batch normalisation to at most a value; before a step is compiled."""
    for layer in batch_normalisations(model):
        layer.momentum = min(layer.momentum, momentum)


class Reestimation:
    """Replaces running statistics by the mean of those of some training batches.

    Args:
        model: The model; what is trainable in it is settled.
    """

    def __init__(self, model: keras.Model) -> None:
        import tensorflow as tf

        self._layers = [layer for layer in batch_normalisations(model) if layer.trainable]
        self._forward = tf.function(lambda inputs: model(inputs, training=True), reduce_retracing=True)

    def __call__(self, batches: Iterable[Any]) -> None:
        """Take batches of inputs and set the statistics."""
        if not self._layers:
            return
        momenta = [layer.momentum for layer in self._layers]
        sums: list[Any] = [0.0] * (2 * len(self._layers))
        count = 0
        try:
            for layer in self._layers:
                # With no memory the running statistics become those of the batch; the compiled pass keeps the
                # value that it was traced with.
                layer.momentum = 0.0
            for inputs in batches:
                self._forward(inputs)
                count += 1
                for i, variable in enumerate(self._variables()):
                    sums[i] = sums[i] + np.asarray(variable, np.float64)
        finally:
            for layer, momentum in zip(self._layers, momenta, strict=True):
                layer.momentum = momentum
        for total, variable in zip(sums, self._variables(), strict=True):
            variable.assign(total / count)

    def _variables(self) -> list[Any]:
        return [v for layer in self._layers for v in (layer.moving_mean, layer.moving_variance)]
