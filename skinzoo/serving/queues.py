"""Batches through TensorFlow's own batching op."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import tensorflow as tf

from skinzoo.serving.batching import Batching
from skinzoo.serving.status import failed_precondition
from skinzoo.serving.timings import now, since, timed

# Shapes for which a signature gets a queue of its own; further ones run by themselves.
MOST_SHAPES = 16

Flat = Callable[..., Sequence[tf.Tensor]]


class QueueNames:
    """Names of the op's queues: none is in use twice, and those given back are used again.

    The op finds its queue by name alone and runs a batch with the function of its last request, so two
    signatures that shared a name would answer each other's requests. It never frees a queue's threads: a
    server that loads versions for weeks must come back to the queues that it has.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: dict[Batching, list[str]] = defaultdict(list)
        self._made = 0

    def take(self, batching: Batching) -> str:
        """Return a name that nothing else uses, of a queue with exactly these parameters."""
        with self._lock:
            if self._free[batching]:
                return self._free[batching].pop()
            self._made += 1
            return f"skinzoo-batches-{self._made}"

    def give_back(self, batching: Batching, name: str) -> None:
        """Let a name be used again; no request may be waiting under it."""
        with self._lock:
            self._free[batching].append(name)

    @property
    def made(self) -> int:
        """Return how many names there are."""
        return self._made


NAMES = QueueNames()


class Queue:
    """A function whose calls are joined to batches.

    Args:
        function: Takes and returns tensors that begin with the batch dimension.
        inputs: The tensors that it takes.
        batching: How calls are joined.
        names: Where the queue's name comes from.
    """

    def __init__(
        self,
        function: Flat,
        inputs: Sequence[tf.TensorSpec],
        batching: Batching,
        names: QueueNames = NAMES,
    ) -> None:
        self._batching = batching
        self._names = names
        self._name = names.take(batching)
        self._body = tf.function(
            lambda *rows: timed(function, rows), input_signature=list(inputs), autograph=False
        ).get_concrete_function()

    def __call__(self, *rows: tf.Tensor) -> list[tf.Tensor]:
        """Run within a graph; the rows wait for a batch, and their own part of its results is returned.

        After the results comes a tensor of timings, see `skinzoo.serving.timings`.
        """
        entered = now(rows)
        found = tf.raw_ops.BatchFunction(
            in_tensors=list(rows),
            captured_tensors=self._body.captured_inputs,
            f=self._body,
            Tout=[output.dtype for output in self._body.outputs],
            num_batch_threads=self._batching.num_batch_threads,
            max_batch_size=self._batching.max_batch_size,
            batch_timeout_micros=self._batching.batch_timeout_micros,
            max_enqueued_batches=self._batching.max_enqueued_batches,
            allowed_batch_sizes=list(self._batching.execution_sizes),
            enable_large_batch_splitting=self._batching.enable_large_batch_splitting,
            shared_name=self._name,
        )
        for output, inside in zip(found, self._body.outputs, strict=True):
            output.set_shape(inside.shape)
        return [*found[:-1], since(entered, found[-1])]

    def close(self) -> None:
        """Give the name back; nothing may call it any more."""
        self._names.give_back(self._batching, self._name)


class ShapeGate:
    """Lets requests of one inner shape in at a time, as TensorFlow Serving does without padding.

    It refuses the request that differs before it can join a batch, where the real server would fail the whole
    batch.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shape: object = None
        self._inside = 0

    @contextmanager
    def holding(self, inputs: Mapping[str, tf.Tensor]) -> Iterator[None]:
        """Hold the gate for a request.

        Raises:
            RpcError: Requests of another shape are inside.
        """
        shape = {name: tuple(value.shape)[1:] for name, value in inputs.items()}
        with self._lock:
            if self._inside and shape != self._shape:
                name = next(name for name, sizes in shape.items() if sizes != self._shape[name])  # type: ignore[index]
                raise failed_precondition(
                    f"Tensors with name '{name}' from different tasks have different shapes and padding is "
                    "turned off. Set pad_variable_length_inputs to true, or ensure that all tensors with the "
                    "same name have equal dimensions starting with the first dim."
                )
            self._shape = shape
            self._inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
