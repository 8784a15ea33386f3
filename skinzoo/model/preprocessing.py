"""From 0..255 RGB pixels to what a backbone was trained on, as a layer of the model."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from skinzoo.specs import PREPROCESS_MODES

# Two conventions for the ImageNet mean: that of the Caffe models, and that of torchvision in units of 0..255.
CAFFE_MEAN_RGB = (123.68, 116.779, 103.939)
TORCH_MEAN_RGB = (123.675, 116.28, 103.53)
TORCH_DEVIATION_RGB = (58.395, 57.12, 57.375)


@keras.saving.register_keras_serializable(package="skinzoo")
class Preprocess(keras.layers.Layer):
    """Scale images as the backbone expects them.

    Args:
        mode: `symmetric` gives x / 127.5 - 1; `unit` gives x / 255; `torch` subtracts the ImageNet mean
            and divides by its deviation; `caffe` reverses the channels and subtracts the ImageNet mean;
            `identity` leaves 0..255.
        bgr: Reverse the channels first, for networks trained on images read in BGR order.

    Call arguments:
        images: `(batch, height, width, 3)`, RGB, 0..255, any numeric type.

    Returns:
        Tensor of the same shape in the layer's compute dtype.
    """

    def __init__(self, mode: str, bgr: bool = False, **kwargs: Any) -> None:
        super().__init__(trainable=False, autocast=False, **kwargs)
        if mode not in PREPROCESS_MODES:
            raise ValueError(f"`mode` must be one of {PREPROCESS_MODES}. Received: mode={mode}")
        self.mode = mode
        self.bgr = bool(bgr)

    def call(self, images: Any) -> Any:
        """Scale the images in float32, then cast."""
        x = ops.cast(images, "float32")
        if self.bgr:
            x = ops.flip(x, axis=-1)
        if self.mode == "symmetric":
            x = x / 127.5 - 1.0
        elif self.mode == "unit":
            x = x / 255.0
        elif self.mode == "torch":
            mean = ops.convert_to_tensor(TORCH_MEAN_RGB, dtype="float32")
            x = (x - mean) / ops.convert_to_tensor(TORCH_DEVIATION_RGB, dtype="float32")
        elif self.mode == "caffe":
            x = ops.flip(x - ops.convert_to_tensor(CAFFE_MEAN_RGB, dtype="float32"), axis=-1)
        return ops.cast(x, self.compute_dtype)

    def compute_output_spec(self, images: Any) -> keras.KerasTensor:
        """Return the shape of the images with the compute dtype."""
        return keras.KerasTensor(images.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        config: dict[str, Any] = super().get_config()
        config.pop("trainable", None)
        config.pop("autocast", None)
        return config | {"mode": self.mode, "bgr": self.bgr}
