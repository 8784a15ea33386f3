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


def override_momentum(model: keras.Model, momentum: float) -> None:
    """Lower the momentum of every batch normalisation to at most a value; before a step is compiled."""
    for layer in batch_normalisations(model):
        layer.momentum = min(layer.momentum, momentum)


def reestimate(model: keras.Model, batches: Iterable[Any]) -> None:
    """Replace running statistics by the mean of those of some training batches.

    Args:
        model: The model.
        batches: Inputs as the model takes them.
    """
    import tensorflow as tf

    layers = [layer for layer in batch_normalisations(model) if layer.trainable]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    means = [np.zeros(layer.moving_mean.shape, np.float64) for layer in layers]
    variances = [np.zeros(layer.moving_variance.shape, np.float64) for layer in layers]
    count = 0
    try:
        for layer in layers:
            # With no memory the running statistics become those of the batch.
            layer.momentum = 0.0
        forward = tf.function(lambda inputs: model(inputs, training=True))
        for inputs in batches:
            forward(inputs)
            count += 1
            for i, layer in enumerate(layers):
                means[i] += layer.moving_mean.numpy()
                variances[i] += layer.moving_variance.numpy()
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for layer, mean, variance in zip(layers, means, variances, strict=True):
        layer.moving_mean.assign(mean / count)
        layer.moving_variance.assign(variance / count)
