"""What a built model costs and looks like: parameters, layers, feature map, FLOPs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import keras

from skinzoo.model.assembly import IMAGE, attention_model, feature_map
from skinzoo.specs import ParameterCounts


@dataclass(frozen=True, kw_only=True)
class ModelDescription:
    """Figures of a built model.

    Args:
        trainable: Trainable weights.
        non_trainable: Non-trainable weights.
        total: All weights.
        layers: Layers, those of nested models counted, the nested models themselves not.
        input_size: Height and width of the input in pixels.
        feature_map: Shape `(h, w, channels)` that the attention sees.
        attention_map: Shape `(h, w)` of the attention map.
        flops: Floating-point operations of one image's forward pass, a multiplication and an addition
            counted as two; None off the TensorFlow backend.
    """

    trainable: int
    non_trainable: int
    total: int
    layers: int
    input_size: int
    feature_map: tuple[int, int, int]
    attention_map: tuple[int, int]
    flops: int | None


def describe_model(model: keras.Model, *, with_flops: bool = True) -> ModelDescription:
    """Measure a model of `create_model`.

    Args:
        model: The model.
        with_flops: Whether to count FLOPs, which traces the model once.
    """
    counts = count_parameters(model)
    return ModelDescription(
        trainable=counts.trainable,
        non_trainable=counts.non_trainable,
        total=counts.total,
        layers=sum(1 for _ in leaf_layers(model)),
        input_size=model.input[IMAGE].shape[1],
        feature_map=tuple(feature_map(model).shape[1:]),
        attention_map=tuple(attention_model(model).output.shape[1:]),
        flops=count_flops(model) if with_flops else None,
    )


def count_parameters(model: keras.Model) -> ParameterCounts:
    """Count weights; the state of random generators does not count."""
    return ParameterCounts(
        trainable=sum(prod(weight.shape) for weight in model.trainable_weights),
        non_trainable=sum(prod(weight.shape) for weight in model.non_trainable_weights),
    )


def leaf_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield the layers of a model and of the models nested in it."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaf_layers(layer)
        else:
            yield layer


def count_flops(model: keras.Model) -> int | None:
    """Count the floating-point operations of one image's forward pass; None off the TensorFlow backend."""
    counted = count_operations(model)
    return None if counted is None else sum(counted.values())


def count_operations(model: keras.Model) -> dict[str, int] | None:
    """Count the floating-point operations of one image's forward pass with TensorFlow's profiler.

    Args:
        model: A model whose inputs are a dictionary.

    Returns:
        Type of operation to its count, a multiplication and an addition counted as two; types for which the
        profiler has no rule, such as ReLU, with 0. None off the TensorFlow backend.
    """
    if keras.config.backend() != "tensorflow":
        return None
    import tempfile
    from pathlib import Path

    import tensorflow as tf

    signature = {
        name: tf.TensorSpec((1, *tensor.shape[1:]), tensor.dtype) for name, tensor in model.input.items()
    }
    function = tf.function(lambda inputs: model(inputs, training=False)).get_concrete_function(signature)
    profiler = tf.compat.v1.profiler
    # Its first use logs that it belongs to TensorFlow 1; there is no other counter.
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    # The profiler prints its report unless it is given a file to write to.
    with tempfile.TemporaryDirectory() as folder:
        options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
        report = profiler.profile(
            graph=function.graph,
            cmd="op",
            options=options.with_file_output(str(Path(folder, "flops"))).build(),
        )
    logger.setLevel(level)
    counted = dict.fromkeys(sorted({operation.type for operation in function.graph.get_operations()}), 0)
    # Each type is the only child of the one before it.
    while report.children:
        report = report.children[0]
        counted[report.name] = int(report.float_ops)
    return counted
