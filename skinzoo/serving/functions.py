"""Signatures as functions: run by themselves, joined to batches, or decoded alone and then joined."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from skinzoo.export import names
from skinzoo.serving.batching import Batching
from skinzoo.serving.queues import MOST_SHAPES, Queue, ShapeGate
from skinzoo.serving.timings import without_timings

_LOG = logging.getLogger(__name__)
Tensors = dict[str, tf.Tensor]
Function = Callable[[Mapping[str, tf.Tensor]], Mapping[str, tf.Tensor]]
Flat = Callable[..., list[tf.Tensor]]
"""Takes tensors in the order of a signature's `specs`, returns them in the order of its `outputs`."""


class Signature:
    """A signature of a loaded SavedModel with its inputs and outputs in a fixed order.

    Args:
        function: What `tf.saved_model.load` gives.
        definition: Its description.
    """

    def __init__(self, function: Any, definition: SignatureDef) -> None:
        self._function = function
        self.specs = {
            name: tf.TensorSpec(
                tf.TensorShape(None if one.tensor_shape.unknown_rank else one.tensor_shape), one.dtype, name
            )
            for name, one in sorted(definition.inputs.items())
        }
        self.outputs = sorted(definition.outputs)

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        """Run it."""
        return self._function(**inputs)

    def flat(self, *inputs: tf.Tensor) -> list[tf.Tensor]:
        """Run it on tensors in the order of `specs`, for results in the order of `outputs`."""
        found = self._function(**dict(zip(self.specs, inputs, strict=True)))
        return [found[name] for name in self.outputs]

    @property
    def can_be_batched(self) -> bool:
        """Return whether every input may begin with a batch dimension of any length."""
        shapes = [spec.shape for spec in self.specs.values()]
        return bool(shapes) and all(
            shape.rank is None or (shape.rank and shape[0] is None) for shape in shapes
        )

    @property
    def has_one_shape(self) -> bool:
        """Return whether every dimension but the first is known, so that all requests fit together."""
        return all(spec.shape.rank and spec.shape[1:].is_fully_defined() for spec in self.specs.values())


class Batched:
    """A signature whose requests are joined to batches.

    Args:
        signature: The signature.
        batching: How.
        flat: What runs a batch instead of the signature itself.
    """

    def __init__(self, signature: Signature, batching: Batching, *, flat: Flat | None = None) -> None:
        self._signature = signature
        self._batching = batching
        self._flat = flat or signature.flat
        self._queues: dict[object, tuple[Queue, Any]] = {}
        self._lock = threading.Lock()
        self._gate: ShapeGate | None = None
        self._by_shape = not signature.has_one_shape and batching.pad_variable_length_inputs
        if not signature.has_one_shape and not batching.pad_variable_length_inputs:
            self._gate = ShapeGate()
        self.queue, self._call = self._open(None)

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        """Run a request in a batch with others."""
        if any(value.shape.rank and value.shape[0] == 0 for value in inputs.values()):
            # The op cannot hand an empty part of a batch back.
            return self._signature(inputs)
        call = self._of_shape(inputs) if self._by_shape else self._call
        if call is None:
            return self._signature(inputs)
        with self._gate.holding(inputs) if self._gate else nullcontext():
            found = call(*(inputs[name] for name in self._signature.specs))
        return without_timings(self._signature.outputs, found)

    def close(self) -> None:
        """Give the queues back."""
        for queue, _ in self._queues.values():
            queue.close()

    def _of_shape(self, inputs: Mapping[str, tf.Tensor]) -> Any:
        shape = tuple(tuple(inputs[name].shape)[1:] for name in self._signature.specs)
        with self._lock:
            if shape not in self._queues and len(self._queues) > MOST_SHAPES:
                return None
            return self._open(shape)[1]

    def _open(self, shape: object) -> tuple[Queue, Any]:
        if shape not in self._queues:
            specs = list(self._signature.specs.values())
            queue = Queue(self._flat, specs, self._batching)
            call = tf.function(
                lambda *rows: queue(*rows), input_signature=specs, autograph=False
            ).get_concrete_function()
            self._queues[shape] = queue, call
        return self._queues[shape]


class Direct:
    """A signature whose requests run by themselves.

    Args:
        signature: The signature.
        flat: What runs a request instead of the signature itself.
    """

    def __init__(self, signature: Signature, flat: Flat) -> None:
        self._signature = signature
        self.queue = flat
        self._call = tf.function(
            lambda *rows: flat(*rows), input_signature=list(signature.specs.values()), autograph=False
        ).get_concrete_function()

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        """Run a request."""
        if any(value.shape.rank and value.shape[0] == 0 for value in inputs.values()):
            return self._signature(inputs)
        found = self._call(*(inputs[name] for name in self._signature.specs))
        return dict(zip(self._signature.outputs, found, strict=True))


class FromFiles:
    """A signature that takes image files: decodes its own, then joins a batch of pixels.

    TensorFlow's decoding fails a batch as a whole, so nothing that is not known to be an image may be in one.

    Args:
        signature: The signature; it takes all that `decode` and the batch need, or images alone.
        decode: Makes pixels of files.
        pixels: The signature that the batch runs.
        queue: The batches, or what runs pixels by themselves.
    """

    def __init__(self, signature: Signature, decode: Signature, pixels: Signature, queue: Flat) -> None:
        self._signature = signature
        self._outputs = pixels.outputs

        def run(*inputs: tf.Tensor) -> list[tf.Tensor]:
            given = dict(zip(signature.specs, inputs, strict=True))
            files = given.pop(names.IMAGE_BYTES)
            given[names.IMAGE] = decode.flat(files)[0]
            count = tf.shape(files)
            unknown = {
                names.AGE: tf.fill(count, float("nan")),
                names.SEX: tf.fill(count, ""),
                names.LOCALIZATION: tf.fill(count, ""),
            }
            return queue(*((unknown | given)[name] for name in pixels.specs))

        specs = list(signature.specs.values())
        self._call = tf.function(run, input_signature=specs, autograph=False).get_concrete_function()

    def __call__(self, inputs: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        """Run a request."""
        if any(value.shape[0] == 0 for value in inputs.values()):
            return self._signature(inputs)
        found = self._call(*(inputs[name] for name in self._signature.specs))
        return without_timings(self._outputs, found)


def with_constants(signature: Signature) -> Flat:
    """Return a signature with its weights as constants, which TensorFlow folds into the layers around them.

    On a CPU a batch takes about a quarter less time. Only for a signature that changes no variable.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    specs: Sequence[tf.TensorSpec] = list(signature.specs.values())
    whole = tf.function(
        lambda *inputs: signature.flat(*inputs), input_signature=specs, autograph=False
    ).get_concrete_function()
    try:
        frozen = convert_variables_to_constants_v2(whole)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        _LOG.warning("The weights stay variables: %s", error)
        return signature.flat
    # What is no variable, such as a table of terms, becomes a further input.
    captured = {inside.name: outside for outside, inside in whole.graph.captures}
    others = [captured[one.name] for one in frozen.inputs if one.name in captured]
    return lambda *inputs: list(frozen(*inputs, *others))
