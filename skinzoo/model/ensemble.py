"""Several models as one functional model: the weighted mean of their probabilities and attention maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from skinzoo.errors import ModelError
from skinzoo.model.assembly import (
    AGE,
    ATTENTION_LAYER,
    IMAGE,
    LOCALIZATION,
    PROBABILITIES_LAYER,
    SEX,
    attention_model,
    metadata_encoder,
)


@keras.saving.register_keras_serializable(package="skinzoo")
class WeightedMean(keras.layers.Layer):
    """Average members' outputs.

    Args:
        weights_of: Weight of each member; they are scaled to sum to 1.

    Call arguments:
        members: One list of tensors a member, each with probabilities `(batch, classes)` and, where all
            members' maps have one size, the attention map `(batch, h, w)`.

    Returns:
        List of tensors, float32 of the members' shapes.
    """

    def __init__(self, weights_of: Sequence[float], **kwargs: Any) -> None:
        # Means of probabilities lose small ones in half precision.
        kwargs["dtype"] = "float32"
        super().__init__(trainable=False, **kwargs)
        self.weights_of = tuple(float(weight) for weight in weights_of)
        if not self.weights_of or min(self.weights_of) <= 0:
            raise ValueError(f"`weights_of` must be numbers above 0. Received: weights_of={weights_of}")

    def call(self, members: Sequence[Sequence[Any]]) -> list[Any]:
        """Average a batch."""
        total = sum(self.weights_of)
        return [
            sum(
                ops.cast(output, "float32") * (weight / total)
                for weight, output in zip(self.weights_of, outputs, strict=True)
            )
            for outputs in zip(*members, strict=True)
        ]

    def compute_output_spec(self, members: Sequence[Sequence[Any]]) -> list[keras.KerasTensor]:
        """Return the shapes of the means."""
        return [keras.KerasTensor(output.shape, dtype="float32") for output in members[0]]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        config: dict[str, Any] = super().get_config()
        config.pop("trainable", None)
        return config | {"weights_of": list(self.weights_of)}


def ensemble_model(
    members: Sequence[keras.Model], weights: Sequence[float], *, name: str = "ensemble"
) -> keras.Model:
    """Return one model that averages the probabilities of several, their layers shared.

    Its inputs and output are those of `create_model`. Where the attention maps of all members have one size,
    `attention_model` yields their mean; else it says that there is none.

    Args:
        members: Models of `create_model`, or loaded ones, of one image size.
        weights: Weight of each member, above 0.
        name: Name of the model.

    Raises:
        ModelError: The members take images of different sizes, have other vocabularies or other outputs.
    """
    _check(members)
    maps = [_attention_map(member) for member in members]
    shapes = {None if one is None else tuple(one.shape[1:]) for one in maps}
    with_map = len(shapes) == 1 and None not in shapes
    first = members[0].input
    inputs = {
        key: keras.Input(first[key].shape[1:], dtype=first[key].dtype, name=key)
        for key in (IMAGE, AGE, SEX, LOCALIZATION)
    }
    outputs = []
    for number, (member, attended) in enumerate(zip(members, maps, strict=True)):
        # A name of its own: the members of an ensemble may be runs of one variant.
        found = [member.output, attended] if with_map else [member.output]
        outputs.append(keras.Model(member.input, found, name=f"member_{number}")(inputs))
    # `attention_model` looks for the map behind a layer of this name.
    mean = WeightedMean(weights, name=ATTENTION_LAYER if with_map else "members")(outputs)
    probabilities = keras.layers.Identity(dtype="float32", name=PROBABILITIES_LAYER)(mean[0])
    return keras.Model(inputs, probabilities, name=name)


def _attention_map(member: keras.Model) -> Any:
    try:
        return attention_model(member).output
    except ModelError:
        return None


def _check(members: Sequence[keras.Model]) -> None:
    first = members[0]
    known = [encoder.vocabularies for one in members if (encoder := metadata_encoder(one)) is not None]
    for one in members[1:]:
        if one.input[IMAGE].shape != first.input[IMAGE].shape:
            raise ModelError(
                f"The members of a saved ensemble must take images of one size. Received: "
                f"{first.input[IMAGE].shape[1]} and {one.input[IMAGE].shape[1]} pixels."
            )
        if one.output.shape != first.output.shape:
            raise ModelError(
                "The members of an ensemble must have the same outputs. Received: "
                f"{first.output.shape[1]} and {one.output.shape[1]} classes."
            )
    if any(one != known[0] for one in known):
        raise ModelError(
            "The members of a saved ensemble must have the same vocabularies of sex and localization. "
            "Received: different ones.",
            hint="Train all members on the same dataset.",
        )
