"""What the attention layers have in common."""

import keras
from keras import ops


class AttentionLayer(keras.layers.Layer):
    """Maps features `(batch, h, w, channels)` to features of that shape and a map `(batch, h, w)`."""

    def compute_output_spec(self, features):
        """Return the shapes of features and map."""
        return (
            keras.KerasTensor(features.shape, dtype=self.compute_dtype),
            keras.KerasTensor(features.shape[:-1], dtype="float32"),
        )


def heads_softmax(scores):
    """Return the softmax over positions of each head, in float32.

    Args:
        scores: `(batch, h, w, heads)`.

    Returns:
        float32 tensor of the same shape; each head sums to 1 over its positions.
    """
    _, height, width, heads = scores.shape
    if height * width == 1:
        # A 1x1 feature map, as behind a squeeze: the softmax over one place is 1, and its gradient 0, which
        # is not the same as none.
        return 0 * ops.cast(scores, "float32") + 1
    flat = ops.reshape(ops.cast(scores, "float32"), (-1, height * width, heads))
    return ops.reshape(ops.softmax(flat, axis=1), (-1, height, width, heads))
