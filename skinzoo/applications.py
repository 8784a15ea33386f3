"""Backbones that come with Keras, as a `build` for BackboneSpec."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from skinzoo.specs import BackboneRequest

if TYPE_CHECKING:
    import keras


def keras_application(name: str, **arguments: Any) -> Callable[[BackboneRequest], keras.Model]:
    """Return a `build` that makes a network of `keras.applications` without its classifier.

    Args:
        name: Name in `keras.applications`, for example `MobileNetV2`.
        **arguments: Passed on, for example `include_preprocessing=False`.
    """

    def build(request: BackboneRequest) -> keras.Model:
        import keras

        application: Callable[..., keras.Model] = getattr(keras.applications, name)
        return application(
            include_top=False, weights=request.weights, input_shape=request.input_shape, **arguments
        )

    return build
