"""Maps that come from inside a model: its attention, each head of it, Grad-CAM and Grad-CAM++."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from skinzoo.errors import ModelError

ATTENTION, HEADS, GRADCAM, GRADCAM_PLUS = "attention", "heads", "gradcam", "gradcam++"
IMAGE = "image"


@dataclass(frozen=True)
class Maps:
    """What a model says of a batch, and where it looked.

    Args:
        probabilities: `(n, classes)`.
        targets: Index of the class that the gradients are of, `(n,)`.
        attention: Attention map, float32 `(n, h, w)`, as the attention layer returns it.
        heads: Map of each head, float32 `(n, h, w, heads)`; None where the layer tells no heads apart.
        gradcam: Grad-CAM, float32 `(n, h, w)`.
        gradcam_plus: Grad-CAM++, float32 `(n, h, w)`.
    """

    probabilities: np.ndarray
    targets: np.ndarray
    attention: np.ndarray
    heads: np.ndarray | None
    gradcam: np.ndarray
    gradcam_plus: np.ndarray

    def named(self) -> dict[str, np.ndarray]:
        """Return the maps that have one value a place, by the name of the method."""
        return {ATTENTION: self.attention, GRADCAM: self.gradcam, GRADCAM_PLUS: self.gradcam_plus}


class MapMaker:
    """Draws the maps of a model.

    All of them are taken where the attention stands: Grad-CAM is that of the feature map which the attention
    sees, so that the maps can be compared place by place.

    Args:
        model: A model of `create_model`, or one loaded from a `.keras` file. Its layers are shared, so a
            change of its weights shows.

    Raises:
        ModelError: The model was not built by skinzoo.
    """

    def __init__(self, model: Any) -> None:
        import keras

        from skinzoo.model import attention_model, feature_map
        from skinzoo.model.assembly import ATTENTION_LAYER, PROBABILITIES_LAYER

        attention = attention_model(model).output
        try:
            logits = model.get_layer(PROBABILITIES_LAYER).input
        except ValueError as error:
            raise ModelError(
                f"A model must have a layer named '{PROBABILITIES_LAYER}' to be explained. "
                f"Received: '{model.name}', which has none.",
                hint="A saved ensemble has none of its own: explain its members, one run at a time.",
            ) from error
        features = feature_map(model)
        self.model = model
        self.layer = model.get_layer(ATTENTION_LAYER)
        self._metadata = [name for name in model.input if name != IMAGE]
        self._trunk = keras.Model(model.input, features)
        self._rest = keras.Model(
            [features, *(model.input[name] for name in self._metadata)], [attention, logits, model.output]
        )

    def __call__(self, inputs: Mapping[str, np.ndarray], targets: np.ndarray | int | None = None) -> Maps:
        """Draw the maps of a batch.

        Args:
            inputs: The model's inputs: `image` uint8 `(n, s, s, 3)`, `age`, `sex`, `localization` `(n,)`.
            targets: Class index, one for all or `(n,)`; that of each image's predicted class unless given.

        Raises:
            ModelError: The model yields NaN or infinity.
        """
        import tensorflow as tf

        features = tf.convert_to_tensor(self._trunk.predict_on_batch(dict(inputs)))
        metadata = [tf.convert_to_tensor(inputs[name]) for name in self._metadata]
        with tf.GradientTape() as tape:
            tape.watch(features)
            attention, logits, probabilities = self._rest([features, *metadata], training=False)
            chosen = _targets(targets, np.asarray(probabilities))
            # Before the softmax, as both papers have it: a class then gains nothing from another's loss.
            score = tf.gather(logits, tf.constant(chosen), batch_dims=1)
        gradients = np.asarray(tape.gradient(score, features), np.float32)
        activations = np.asarray(features, np.float32)
        found = Maps(
            probabilities=np.asarray(probabilities, np.float32),
            targets=chosen,
            attention=np.asarray(attention, np.float32),
            heads=self._heads(activations),
            gradcam=grad_cam(activations, gradients),
            gradcam_plus=grad_cam_plus(activations, gradients),
        )
        values = {"its probabilities": found.probabilities, **found.named()}
        broken = [name for name, value in values.items() if not np.isfinite(value).all()]
        if broken:
            raise ModelError(
                f"A model must yield finite numbers to be explained. Received: NaN or infinity in "
                f"{', '.join(broken)} of '{self.model.name}'.",
                hint="Its weights are not finite, or its arithmetic is too narrow for them.",
            )
        return found

    def _heads(self, features: np.ndarray) -> np.ndarray | None:
        import tensorflow as tf

        head_maps = getattr(self.layer, "head_maps", None)
        if head_maps is None:
            return None
        # Outside of the layer's call nothing casts its weights, so the features come in the weights' type.
        maps = np.asarray(head_maps(tf.cast(features, self.layer.variable_dtype)), np.float32)
        if maps.ndim != 4 or maps.shape[:3] != features.shape[:3]:
            raise ModelError(
                f"`head_maps` of an attention layer must return (batch, h, w, heads). Received: shape "
                f"{maps.shape} for features {features.shape} from {type(self.layer).__name__}."
            )
        return maps


def grad_cam(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return Grad-CAM: `ReLU(sum_k mean(dS/dA_k) A_k)` (Selvaraju et al. 2017, equations 1 and 2).

    Args:
        features: Activations A, `(n, h, w, channels)`.
        gradients: Gradients of the class's score S with respect to them, of the same shape.

    Returns:
        float32 `(n, h, w)`, not negative.
    """
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    return np.maximum((weights * features).sum(axis=-1), 0.0).astype(np.float32)


def grad_cam_plus(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Return Grad-CAM++ (Chattopadhay et al. 2018, equations 5 and 19).

    With `g = dS/dA` and `Y = exp(S)`, a place of channel k weighs `g^2 / (2 g^2 + sum_ab(A_abk) g^3)`, and a
    channel weighs the sum over its places of that times `ReLU(dY/dA)`. As `dY/dA = exp(S) g`, `exp(S)` is
    the same factor everywhere; it is left out, as it can overflow and no map depends on its scale.

    Args:
        features: Activations A, `(n, h, w, channels)`.
        gradients: Gradients of the class's score S with respect to them, of the same shape.

    Returns:
        float32 `(n, h, w)`, not negative.
    """
    a, g = features.astype(np.float64), gradients.astype(np.float64)
    below = 2.0 * g**2 + a.sum(axis=(1, 2), keepdims=True) * g**3
    shares = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0.0)
    weights = (shares * np.maximum(g, 0.0)).sum(axis=(1, 2), keepdims=True)
    return np.maximum((weights * a).sum(axis=-1), 0.0).astype(np.float32)


def _targets(targets: np.ndarray | int | None, probabilities: np.ndarray) -> np.ndarray:
    if targets is None:
        return np.asarray(probabilities.argmax(axis=1), np.int32)
    return np.broadcast_to(np.asarray(targets, np.int32), (len(probabilities),)).copy()
