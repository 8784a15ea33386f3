"""Finding the cut: a stable layer name and a path of consumers."""

from __future__ import annotations

from typing import Any

import keras

from skinzoo.errors import ModelError, did_you_mean
from skinzoo.specs import Cut


def cut_backbone(model: keras.Model, cut: Cut, *, name: str) -> keras.Model:
    """Return the part of a network from its input to the cut.

    Args:
        model: The whole functional network.
        cut: Where to cut.
        name: Name of the returned model.

    Returns:
        Model whose output is the feature map `(batch, height, width, channels)`, the layers shared.

    Raises:
        ModelError: The anchor does not exist, or the path fits no place or several.
    """
    if not cut.anchor:
        return _whole(model, name)
    layers = {layer.name: layer for layer in model.layers}
    if cut.anchor not in layers:
        raise ModelError(
            f"The anchor of cut '{cut.name}' must be a layer of {model.name}. Received: '{cut.anchor}'.",
            hint=did_you_mean(cut.anchor, layers),
        )
    consumers = _Consumers(model)
    places = [
        place
        for place in consumers.follow(layers[cut.anchor], cut.path)
        if not cut.leads_to or consumers.follow(place, cut.leads_to)
    ]
    if len(places) != 1:
        raise ModelError(
            f"Cut '{cut.name}' must name exactly one place of {model.name}. "
            f"Received: {len(places)} places for {' > '.join((cut.anchor, *cut.path))}."
        )
    features = places[0].output
    if cut.scale != 1.0:
        features = keras.layers.Rescaling(cut.scale, name="cut_scale")(features)
    return keras.Model(model.input, features, name=name)


def _whole(model: keras.Model, name: str) -> keras.Model:
    if len(model.output.shape) != 4:
        raise ModelError(
            "A whole backbone must end in a feature map (batch, height, width, channels). Received: "
            f"{model.name}, whose output has the shape {tuple(model.output.shape)}.",
            hint="Choose another --cut; see: skinzoo show VARIANT",
        )
    return keras.Model(model.input, model.output, name=name)


class _Consumers:
    """Which operations take which operation's output, read from the functional graph."""

    def __init__(self, model: keras.Model) -> None:
        self._by_tensor: dict[int, list[Any]] = {}
        for operation in model.operations:
            if isinstance(operation, keras.layers.InputLayer):
                continue
            for tensor in keras.tree.flatten(operation.input):
                self._by_tensor.setdefault(id(tensor), []).append(operation)

    def follow(self, start: Any, path: tuple[str, ...]) -> list[Any]:
        """Return the operations that a path of class names leads to."""
        reached = [start]
        for class_name in path:
            reached = [
                consumer
                for operation in reached
                for consumer in self._by_tensor.get(id(operation.output), [])
                if type(consumer).__name__ == class_name
            ]
        return reached
