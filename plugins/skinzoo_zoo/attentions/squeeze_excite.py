"""Squeeze-and-excitation (Hu et al. 2018)."""

import keras
from keras import ops

from skinzoo_zoo.attentions.base import AttentionLayer


@keras.saving.register_keras_serializable(package="skinzoo")
class SqueezeExcite(AttentionLayer):
    """Weigh channels by gates computed from their means.

    Args:
        reduction: Channels for each unit of the hidden layer; it has at least 4 units.

    Call arguments:
        features: `(batch, h, w, channels)`.

    Returns:
        Gated features of the same shape, and a map `(batch, h, w)` in float32: the gate-weighted mean of the
        channels after ReLU, normalised to sum 1 (all 0 where it is nowhere positive).
    """

    def __init__(self, reduction=16, **kwargs):
        super().__init__(**kwargs)
        if reduction < 1:
            raise ValueError(f"`reduction` must be at least 1. Received: reduction={reduction}")
        self.reduction = reduction

    def build(self, input_shape):
        """Create the two dense layers."""
        channels = input_shape[-1]
        units = max(4, channels // self.reduction)
        self.squeeze = keras.layers.Dense(units, activation="relu", name="squeeze", dtype=self.dtype_policy)
        self.excite = keras.layers.Dense(
            channels, activation="sigmoid", name="excite", dtype=self.dtype_policy
        )
        self.squeeze.build((input_shape[0], channels))
        self.excite.build((input_shape[0], units))

    def call(self, features):
        """Attend."""
        gates = self.excite(self.squeeze(ops.mean(features, axis=(1, 2), keepdims=True)))
        gated = features * gates
        shown = ops.relu(ops.cast(ops.mean(gated, axis=-1), "float32"))
        total = ops.sum(shown, axis=(1, 2), keepdims=True)
        return gated, shown / ops.maximum(total, keras.config.epsilon())

    def get_config(self):
        """Return the constructor arguments."""
        return super().get_config() | {"reduction": self.reduction}
