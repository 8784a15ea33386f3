"""Smaller images in the first epochs: their size, and the model that takes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from skinzoo.config import RunConfig
from skinzoo.errors import ModelError, UsageError
from skinzoo.training.schedule import small_epochs
from skinzoo.variants import ResolvedVariant

if TYPE_CHECKING:
    import keras

STRIDE = 16
"""Sides of smaller images are multiples of it, since backbones halve their maps several times."""


def small_size(config: RunConfig, variant: ResolvedVariant) -> int:
    """Return height and width of the smaller images in pixels, as many as the backbone takes at least."""
    size = variant.image_size
    strides = max(
        round(config.training.small_share * size / STRIDE), math.ceil(variant.backbone.min_size / STRIDE)
    )
    return min(strides * STRIDE, size)


def smaller(
    config: RunConfig, variant: ResolvedVariant, model: keras.Model
) -> tuple[keras.Model | None, str]:
    """Return the model for smaller images, its layers shared, or None and why there is none.

    A recipe asks for smaller images whatever network is trained by it, so one that cannot have them goes
    without. The reason is empty where none were asked for or where images would not get smaller.
    """
    from skinzoo.model import at_size

    size = small_size(config, variant)
    if not small_epochs(config.training) or size == variant.image_size:
        return None, ""
    if config.training.method != "finetune":
        return None, _without(variant, f"method '{config.training.method}' computes features of one size")
    if variant.pooling != "gap":
        return None, _without(variant, f"with pooling '{variant.pooling}' the weights depend on the size")
    try:
        return at_size(model, size), ""
    except (ModelError, UsageError) as error:
        return None, _without(variant, str(error).rstrip("."))


def _without(variant: ResolvedVariant, reason: str) -> str:
    return f"No epochs on smaller images than {variant.image_size} pixels: {reason}."
