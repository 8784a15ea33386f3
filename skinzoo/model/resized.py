"""The same model for images of another size, every layer shared."""

from __future__ import annotations

from typing import Any

import keras

from skinzoo.errors import ModelError, UsageError
from skinzoo.model.assembly import BACKBONE_LAYER
from skinzoo.plugins import describe


def at_size(model: keras.Model, size: int) -> keras.Model:
    """Return a model that takes images of another size and has the same variables.

    Args:
        model: A model of `create_model`.
        size: Height and width of the images in pixels.

    Raises:
        UsageError: The number of its variables depends on the size, as with pooling `flatten`.
        ModelError: The backbone cannot be called on this size.
    """

    def resized(tensor: Any) -> Any:
        shape = tensor.shape[1:]
        shape = (size, size, shape[-1]) if len(shape) == 3 else shape
        return keras.Input(shape, dtype=tensor.dtype, name=tensor.name)

    backbone = model.get_layer(BACKBONE_LAYER)
    # A nested model insists on the size that it was built for, so its graph is traced anew as well.
    try:
        inner = keras.models.clone_model(
            backbone, keras.tree.map_structure(resized, backbone.input), clone_function=lambda layer: layer
        )
    except (ValueError, TypeError) as error:
        raise ModelError(
            f"The backbone must be able to take images of {size} pixels. Received: {describe(error)}",
            hint="Use --set training.small_epochs=0.",
        ) from error
    inner.name = backbone.name
    try:
        return keras.models.clone_model(
            model,
            keras.tree.map_structure(resized, model.input),
            clone_function=lambda layer: inner if layer is backbone else layer,
        )
    except ValueError as error:
        raise UsageError(
            f"Images of {size} pixels must give a model the same weights as those of its own size. "
            f"Received: {describe(error)}",
            hint="Use --pooling gap, or --set training.small_epochs=0.",
        ) from error
