"""Networks small enough to be computed by hand, with the layer names of skinzoo's models."""

import keras
import numpy as np
from keras import ops

WEIGHTS = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 0.0]], np.float32)
"""Of the output layer: channels x classes."""


@keras.saving.register_keras_serializable(package="small_models")
class Passing(keras.layers.Layer):
    """Passes features on; its map is their first channel after ReLU, whatever any weight is."""

    def call(self, features):
        return features, ops.relu(features[..., 0])


def pixels_in_pixels_out(size=4, attention=Passing):
    """The feature map is the image / 100; logits are `mean over places @ WEIGHTS`."""
    image = keras.Input((size, size, 3), dtype="uint8", name="image")
    features = keras.layers.Rescaling(1 / 100, name="scale")(image)
    attended, _ = attention(name="attention")(features)
    pooled = keras.layers.GlobalAveragePooling2D()(attended)
    logits = keras.layers.Dense(2, use_bias=False, name="logits")(pooled)
    model = keras.Model({"image": image}, keras.layers.Softmax(name="probabilities")(logits))
    model.get_layer("logits").set_weights([WEIGHTS])
    return model


def images(number=2, size=4, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (number, size, size, 3), np.uint8)


def inputs_of(model, number=3, seed=0):
    size = model.input["image"].shape[1]
    return {
        "image": images(number, size, seed),
        "age": np.full(number, 50, np.float32),
        "sex": np.ones(number, np.int32),
        "localization": np.ones(number, np.int32),
    }
