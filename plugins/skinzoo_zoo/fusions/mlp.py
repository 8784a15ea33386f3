"""The metadata branch of Gessert et al. (2020), section 2.3."""

import keras
from keras import ops

from skinzoo.api import FusionRequest

UNITS = 256
BLOCKS = 2
DROPOUT = 0.4
MASK_RATE = 0.1


@keras.saving.register_keras_serializable(package="skinzoo")
class PropertyMask(keras.layers.Layer):
    """In training, replace each property by its encoding of "unknown" with a fixed probability.

    Args:
        groups: First and last-but-one index of each property in the vector.
        missing: The vector of a case of which nothing is known.
        rate: Probability for each property of each case.
        seed: Seed of the random draws.

    Call arguments:
        inputs: `(batch, len(missing))`.
        training: Whether to mask.
    """

    def __init__(self, groups, missing, rate=MASK_RATE, seed=None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise ValueError(f"`rate` must be from 0 to below 1. Received: rate={rate}")
        self.groups = [tuple(group) for group in groups]
        self.missing = list(missing)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        """Mask in training, pass on otherwise."""
        if not training:
            return inputs
        draws = keras.random.uniform(
            (ops.shape(inputs)[0], len(self.groups)), dtype="float32", seed=self.seed_generator
        )
        masked = ops.cast(draws < self.rate, inputs.dtype)
        columns = [i for i, (start, end) in enumerate(self.groups) for _ in range(start, end)]
        mask = ops.take(masked, ops.convert_to_tensor(columns, dtype="int32"), axis=1)
        missing = ops.convert_to_tensor(self.missing, dtype=inputs.dtype)
        return inputs * (1 - mask) + missing * mask

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape

    def get_config(self):
        """Return the constructor arguments."""
        return super().get_config() | {
            "groups": self.groups,
            "missing": self.missing,
            "rate": self.rate,
            "seed": self.seed,
        }


def concat_mlp(request: FusionRequest):
    """Concatenate the image vector with an MLP on the randomly masked metadata.

    Returns:
        Keras tensor `(batch, d + 256)`, the image first.
    """
    layout = request.layout
    x = PropertyMask(layout.groups, layout.missing, name="metadata_mask")(request.metadata)
    for i in range(BLOCKS):
        x = keras.layers.Dense(UNITS, name=f"metadata_dense_{i}")(x)
        x = keras.layers.BatchNormalization(name=f"metadata_norm_{i}")(x)
        x = keras.layers.ReLU(name=f"metadata_relu_{i}")(x)
        x = keras.layers.Dropout(DROPOUT, name=f"metadata_dropout_{i}")(x)
    return keras.layers.Concatenate(name="fusion_concat")([request.image, x])
