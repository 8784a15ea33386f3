"""A Keras layer of the plugin's own."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="skinzoo_example")
class ChannelScale(keras.layers.Layer):
    """Multiplies every channel by a number that it learns.

    Args:
        initial_value: The number that every channel starts with; must be positive.

    Call arguments:
        features: `(batch, height, width, channels)`.

    Returns:
        Tensor of the same shape.
    """

    def __init__(self, initial_value: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if initial_value <= 0:
            raise ValueError(f"`initial_value` must be positive. Received: initial_value={initial_value}")
        self.initial_value = initial_value

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create one weight a channel."""
        self.scale = self.add_weight(
            name="scale",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(self.initial_value),
        )

    def call(self, features: Any) -> Any:
        """Scale."""
        return features * self.scale

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        return super().get_config() | {"initial_value": self.initial_value}
