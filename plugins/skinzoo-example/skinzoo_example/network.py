"""The network."""

from __future__ import annotations

import keras

from skinzoo_example.layers import ChannelScale


def build(input_shape: tuple[int, int, int]) -> keras.Model:
    """Build a stem and two blocks, each of which halves height and width.

    Args:
        input_shape: `(height, width, 3)`.

    Returns:
        Model from images `(batch, height, width, 3)` to features `(batch, height / 8, width / 8, 64)`.
    """
    image = keras.Input(input_shape)
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="stem")(image)
    for i, filters in enumerate((32, 64)):
        x = keras.layers.Conv2D(
            filters, 3, strides=2, padding="same", use_bias=False, name=f"block{i}_convolution"
        )(x)
        x = keras.layers.BatchNormalization(name=f"block{i}_normalisation")(x)
        x = ChannelScale(name=f"block{i}_scale")(x)
        x = keras.layers.ReLU(name=f"block{i}_relu")(x)
    return keras.Model(image, x, name="example")
