"""Soft-Attention as Datta et al. (2021) and Nguyen et al. (2022) describe it."""

import keras
from keras import ops

from skinzoo_zoo.attentions.base import AttentionLayer, heads_softmax


@keras.saving.register_keras_serializable(package="skinzoo")
class SoftAttention(AttentionLayer):
    """Weigh places by the sum of `heads` learned softmax maps: `gamma * x * sum_k softmax(W_k * x)`.

    The kernel is 3x3 over all channels. Gamma is a learned scalar that starts small, so that the network
    takes the attention in slowly (Datta et al. 2021, section 3).

    Args:
        heads: Number of maps K that are summed.
        gamma_initializer: Initial value of gamma.

    Call arguments:
        features: `(batch, h, w, channels)`, h and w known.

    Returns:
        Attended features of the same shape, and the attention map `(batch, h, w)` in float32, which sums to
        `heads`.
    """

    def __init__(self, heads=16, gamma_initializer=0.01, **kwargs):
        super().__init__(**kwargs)
        if heads < 1:
            raise ValueError(f"`heads` must be at least 1. Received: heads={heads}")
        self.heads = heads
        self.gamma_initializer = gamma_initializer

    def build(self, input_shape):
        """Create kernel, bias and gamma."""
        self.kernel = self.add_weight(
            name="kernel", shape=(3, 3, input_shape[-1], self.heads), initializer="he_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(self.heads,), initializer="zeros")
        self.gamma = self.add_weight(
            name="gamma", shape=(), initializer=keras.initializers.Constant(self.gamma_initializer)
        )

    def head_maps(self, features):
        """Return the map of each head, `(batch, h, w, heads)`, each summing to 1."""
        return heads_softmax(ops.conv(features, self.kernel, padding="same") + self.bias)

    def call(self, features):
        """Attend."""
        attention = ops.sum(self.head_maps(features), axis=-1)
        weights = ops.cast(ops.expand_dims(attention, -1), features.dtype)
        return self.gamma * features * weights, attention

    def get_config(self):
        """Return the constructor arguments."""
        return super().get_config() | {"heads": self.heads, "gamma_initializer": self.gamma_initializer}
