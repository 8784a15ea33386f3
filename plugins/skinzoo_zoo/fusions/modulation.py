"""Fusions in which the metadata modulate the image vector."""

import keras

from skinzoo.api import FusionRequest

EMBEDDING = 64


def gated(request: FusionRequest):
    """Multiply each image feature by a gate from the metadata; concatenate the metadata embedding.

    Returns:
        Keras tensor `(batch, d + 64)`.
    """
    embedding = _embedding(request)
    gate = keras.layers.Dense(request.image.shape[-1], activation="sigmoid", name="metadata_gate")(embedding)
    image = keras.layers.Multiply(name="gated_image")([request.image, gate])
    return keras.layers.Concatenate(name="fusion_concat")([image, embedding])


def film(request: FusionRequest):
    """Scale and shift each image feature: `x * (1 + scale) + shift`, both from the metadata.

    Both start at 0, so that training begins with the unchanged image vector.

    Returns:
        Keras tensor `(batch, d)`.
    """
    embedding = _embedding(request)
    width = request.image.shape[-1]
    scale = keras.layers.Dense(width, kernel_initializer="zeros", name="film_scale")(embedding)
    shift = keras.layers.Dense(width, kernel_initializer="zeros", name="film_shift")(embedding)
    scaled = keras.layers.Multiply(name="film_product")([request.image, scale])
    return keras.layers.Add(name="film_sum")([request.image, scaled, shift])


def _embedding(request: FusionRequest):
    return keras.layers.Dense(EMBEDDING, activation="relu", name="metadata_dense")(request.metadata)
