"""Convolutional block attention module (Woo et al. 2018)."""

import keras
from keras import ops

from skinzoo_zoo.attentions.base import AttentionLayer


@keras.saving.register_keras_serializable(package="skinzoo")
class CBAM(AttentionLayer):
    """Weigh channels by gates from their means and maxima, then places by a gate from channel statistics.

    Args:
        reduction: Channels for each unit of the hidden layer; it has at least 4 units.
        kernel_size: Height and width of the spatial kernel.

    Call arguments:
        features: `(batch, h, w, channels)`.

    Returns:
        Gated features of the same shape, and the spatial gate `(batch, h, w)` in float32, from 0 to 1.
    """

    def __init__(self, reduction=16, kernel_size=7, **kwargs):
        super().__init__(**kwargs)
        if reduction < 1:
            raise ValueError(f"`reduction` must be at least 1. Received: reduction={reduction}")
        self.reduction = reduction
        self.kernel_size = kernel_size

    def build(self, input_shape):
        """Create the shared dense layers and the spatial convolution."""
        channels = input_shape[-1]
        units = max(4, channels // self.reduction)
        self.squeeze = keras.layers.Dense(units, activation="relu", name="squeeze", dtype=self.dtype_policy)
        self.excite = keras.layers.Dense(channels, name="excite", dtype=self.dtype_policy)
        self.spatial = keras.layers.Conv2D(
            1, self.kernel_size, padding="same", activation="sigmoid", name="spatial", dtype=self.dtype_policy
        )
        self.squeeze.build((input_shape[0], channels))
        self.excite.build((input_shape[0], units))
        self.spatial.build((*input_shape[:-1], 2))

    def call(self, features):
        """Attend."""
        means = self.excite(self.squeeze(ops.mean(features, axis=(1, 2), keepdims=True)))
        maxima = self.excite(self.squeeze(ops.max(features, axis=(1, 2), keepdims=True)))
        gated = features * ops.sigmoid(means + maxima)
        statistics = [ops.mean(gated, axis=-1, keepdims=True), ops.max(gated, axis=-1, keepdims=True)]
        gate = self.spatial(ops.concatenate(statistics, axis=-1))
        return gated * gate, ops.cast(gate[..., 0], "float32")

    def get_config(self):
        """Return the constructor arguments."""
        return super().get_config() | {"reduction": self.reduction, "kernel_size": self.kernel_size}
