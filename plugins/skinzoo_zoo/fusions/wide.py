"""The metadata branch of Nguyen et al. (2022): one wide Dense."""

import keras

from skinzoo.api import FusionRequest

UNITS = 4096


def concat_wide(
    request: FusionRequest, *, norm_before: bool = False, norm_behind: bool = False, dropout: float = 0.0
):
    """Concatenate the image vector with a Dense of 4096 units on the metadata.

    Args:
        request: Image vector `(batch, d)` and metadata `(batch, m)`.
        norm_before: Batch normalisation and ReLU on the metadata vector.
        norm_behind: Batch normalisation and ReLU on the output of the Dense.
        dropout: Rate behind the Dense; 0 for none.

    Returns:
        Keras tensor `(batch, d + 4096)`, the image first.
    """
    x = request.metadata
    if norm_before:
        x = keras.layers.BatchNormalization(name="metadata_norm")(x)
        x = keras.layers.ReLU(name="metadata_relu")(x)
    x = keras.layers.Dense(UNITS, activation="relu", name="metadata_dense")(x)
    if norm_behind:
        x = keras.layers.BatchNormalization(name="metadata_dense_norm")(x)
        x = keras.layers.ReLU(name="metadata_dense_relu")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="metadata_dropout")(x)
    return keras.layers.Concatenate(name="fusion_concat")([request.image, x])
