"""No attention."""

import keras
from keras import ops

from skinzoo_zoo.attentions.base import AttentionLayer


@keras.saving.register_keras_serializable(package="skinzoo")
class NoAttention(AttentionLayer):
    """Pass the features on, with a uniform map.

    Call arguments:
        features: `(batch, h, w, channels)`, h and w known.

    Returns:
        The features, and the map `(batch, h, w)` in float32, which sums to 1.
    """

    def call(self, features):
        """Pass on."""
        _, height, width, _ = features.shape
        uniform = ops.full_like(features[..., 0], 1.0 / (height * width), dtype="float32")
        return features, uniform
