"""Soft-Attention as the published notebooks compute it."""

import keras
from keras import ops

from skinzoo_zoo.attentions.base import AttentionLayer, heads_softmax


def live_rows(height, channels):
    """Return which rows of the (channels, 3, 3) kernel can meet data, and the padding that aligns them.

    The kernel's first axis, `channels` long, runs over the image's height with SAME padding, so output row
    h meets input row r through kernel row `r - h + (channels - 1) // 2`.

    Args:
        height: Rows of the feature map.
        channels: Channels of the feature map, which is the kernel's length.

    Returns:
        First live row, first row after the live ones, rows of zeros to pad above and below the features.
    """
    before = (channels - 1) // 2
    first = max(0, before - (height - 1))
    end = min(channels, before + height)
    return first, end, before - first, end - 1 - before


@keras.saving.register_keras_serializable(package="skinzoo")
class SoftAttentionAsCoded(AttentionLayer):
    """Weigh places by the sum of `heads` softmax maps of a convolution that sees three channels.

    The notebooks apply a 3-D convolution of kernel (channels, 3, 3), stride (1, 1, channels) and SAME padding
    to the features with a last axis added. Its axes then mean height, width, channels: one output position
    along the channels that sees channels 0, 1 and 2, and 2h - 1 kernel rows along the height. The same
    numbers come from a 2-D convolution of those rows and channels, which is what is computed here; all
    `9 * channels * heads` weights are kept, as counted in the paper. There is no gamma.

    Args:
        heads: Number of maps that are summed.

    Call arguments:
        features: `(batch, h, w, channels)`, h and w known, at least 3 channels.

    Returns:
        Attended features of the same shape, and the attention map `(batch, h, w)` in float32, which sums to
        `heads`.
    """

    def __init__(self, heads=16, **kwargs):
        super().__init__(**kwargs)
        if heads < 1:
            raise ValueError(f"`heads` must be at least 1. Received: heads={heads}")
        self.heads = heads

    def build(self, input_shape):
        """Create kernel and bias."""
        channels = input_shape[-1]
        if channels < 3:
            raise ValueError(f"The features must have at least 3 channels. Received: shape={input_shape}")
        self.kernel = self.add_weight(
            name="kernel", shape=(channels, 3, 3, 1, self.heads), initializer="he_uniform"
        )
        self.bias = self.add_weight(name="bias", shape=(self.heads,), initializer="zeros")

    def head_maps(self, features):
        """Return the map of each head, `(batch, h, w, heads)`, each summing to 1."""
        first, end, above, below = live_rows(features.shape[1], features.shape[3])
        padded = ops.pad(features[..., :3], ((0, 0), (above, below), (1, 1), (0, 0)))
        kernel = self.kernel[first:end, :, :, 0, :]
        return heads_softmax(ops.relu(ops.conv(padded, kernel, padding="valid") + self.bias))

    def call(self, features):
        """Attend."""
        attention = ops.sum(self.head_maps(features), axis=-1)
        return features * ops.cast(ops.expand_dims(attention, -1), features.dtype), attention

    def get_config(self):
        """Return the constructor arguments."""
        return super().get_config() | {"heads": self.heads}
