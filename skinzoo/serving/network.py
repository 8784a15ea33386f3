"""The network inside a signature: numbers in, numbers out, with what TensorFlow does before and after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from skinzoo.errors import ModelError
from skinzoo.serving.functions import Flat, Signature

# What no other engine computes with: strings, and tables, which are resources.
_FOREIGN = (tf.string, tf.resource, tf.variant)


class Network:
    """A signature cut in three: strings to indices, the network, and what is made of its result.

    Args:
        signature: A signature that changes no variable.
        result: The output up to which the network goes; None for all of them, with nothing behind.

    Raises:
        ModelError: It cannot be cut so.
    """

    def __init__(self, signature: Signature, result: str | None = None) -> None:
        from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

        # Kept, since it holds the tables.
        self._whole = tf.function(
            lambda *inputs: signature.flat(*inputs),
            input_signature=list(signature.specs.values()),
            autograph=False,
        ).get_concrete_function()
        try:
            frozen = convert_variables_to_constants_v2(self._whole)
            self._cut(frozen, signature, result)
        except (ValueError, TypeError, LookupError, tf.errors.OpError) as error:
            raise ModelError(f"A network must be found in the graph. Received: {error}") from error

    def _cut(self, frozen: Any, signature: Signature, result: str | None) -> None:
        outside = {inside.name: outside for outside, inside in self._whole.graph.captures}
        self._captured = [outside[one.name] for one in frozen.inputs if one.name in outside]
        self._inputs = [one.name for one in frozen.inputs]
        graph = _without_control(frozen)
        wanted = frozen.outputs if result is None else [frozen.outputs[signature.outputs.index(result)]]
        ends = [_beneath_identities(graph.graph.get_tensor_by_name(one.name)) for one in wanted]
        if any(end.dtype in _FOREIGN for end in ends):
            raise ValueError("an output that is no number")
        given, made = _feeds(ends)
        self._given = [one.name for one in given]
        self.specs = [
            tf.TensorSpec(_shape(one), one.dtype, f"x{number}") for number, one in enumerate([*given, *made])
        ]
        self.function = graph.prune([*given, *made], ends)
        self._results = [(end.dtype, end.shape) for end in ends]
        self._before = graph.prune(self._inputs, made) if made else None
        self._after = None
        if result is not None:
            self._after = graph.prune(ends, [one.name for one in frozen.outputs])

    def around(self, ask: Callable[..., Sequence[object]]) -> Flat:
        """Return the whole signature with the network answered by another engine.

        Args:
            ask: Takes the network's inputs as arrays, in the order of `specs`; returns its results as arrays.

        Returns:
            What takes and returns the signature's tensors as `Signature.flat` does, within a graph.
        """

        def flat(*inputs: tf.Tensor) -> list[tf.Tensor]:
            all_inputs = [*inputs, *self._captured]
            given = dict(zip(self._inputs, all_inputs, strict=True))
            made = self._before(*all_inputs) if self._before is not None else []
            rows = [*(given[name] for name in self._given), *made]
            found = tf.numpy_function(ask, rows, [dtype for dtype, _ in self._results], stateful=False)
            for one, (_, shape) in zip(found, self._results, strict=True):
                one.set_shape(shape)
            return list(found if self._after is None else self._after(*found))

        return flat

    def write(self, folder: str) -> None:
        """Write the network alone as a SavedModel."""
        function = tf.function(
            lambda *rows: {f"y{number}": one for number, one in enumerate(self.function(*rows))},
            input_signature=self.specs,
            autograph=False,
        )
        tf.saved_model.save(tf.Module(), folder, signatures={"serving_default": function})


def _without_control(frozen: Any) -> Any:
    # Inlined calls wait for each other's inputs, by which everything would depend on everything. The order of
    # operations that change nothing does not matter.
    graph = frozen.graph.as_graph_def()
    for node in graph.node:
        kept = [name for name in node.input if not name.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
    return tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])


def _beneath_identities(tensor: tf.Tensor) -> tf.Tensor:
    while tensor.op.type == "Identity":
        tensor = tensor.op.inputs[0]
    return tensor


def _feeds(ends: Sequence[tf.Tensor]) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Return the inputs that tensors come from, and the numbers that are made of strings on the way."""
    given: dict[str, tf.Tensor] = {}
    made: dict[str, tf.Tensor] = {}
    seen: set[str] = set()
    open_ = list(ends)
    while open_:
        tensor = open_.pop()
        if tensor.name in seen:
            continue
        seen.add(tensor.name)
        if tensor.op.type == "Placeholder":
            given[tensor.name] = tensor
        elif any(one.dtype in _FOREIGN for one in tensor.op.inputs):
            made[tensor.name] = tensor
        else:
            open_.extend(tensor.op.inputs)
    return list(given.values()), list(made.values())


def _shape(tensor: tf.Tensor) -> tf.TensorShape:
    if tensor.shape.rank is not None:
        return tensor.shape
    # What a table finds has the shape of what is looked up, which is not written at its result.
    strings = [one for one in tensor.op.inputs if one.dtype == tf.string]
    return strings[0].shape if strings else tensor.shape
