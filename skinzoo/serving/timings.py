"""When batches began and ended, measured where they run and handed back with the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from skinzoo.serving.observing import Batch, current_run


def now(after: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the seconds since 1970, within a graph, once some tensors are there."""
    with tf.control_dependencies(after), tf.device("CPU:0"):
        return tf.timestamp()


def timed(function: Callable[..., Sequence[tf.Tensor]], rows: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Run a batch, and return its timings after its results.

    They have a row for each row of the batch: when it began, its seconds, its size, the row's number in it.

    Args:
        function: What runs it.
        rows: Its inputs.
    """
    began = now(rows)
    found = list(function(*rows))
    ended = now(found)
    with tf.device("CPU:0"):
        size = tf.shape(rows[0])[0]
        index = tf.range(size)
        columns = [tf.fill([size], began), tf.fill([size], ended - began)]
        columns += [tf.cast(one, tf.float64) for one in (tf.fill([size], size), index)]
        return [*found, tf.stack(columns, axis=1)]


def since(entered: tf.Tensor, timings: tf.Tensor) -> tf.Tensor:
    """Return timings in which the beginning is counted from when the rows began to wait."""
    with tf.device("CPU:0"):
        return timings - tf.stack([entered, *[tf.constant(0.0, tf.float64)] * 3])


def without_timings(names: Sequence[str], found: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
    """Name the results of a function, and add the timings after them to the run that is being measured.

    Args:
        names: Names of the results.
        found: What the function returned; without timings where it joins no batches.
    """
    run = current_run()
    if run is not None and len(found) > len(names):
        batches: dict[float, Batch] = {}
        for row in found[-1].numpy().tolist():
            waited, seconds, size, index = row
            batch = batches.get(waited)
            first = index == 0 or (batch is not None and batch.first)
            batches[waited] = Batch(max(waited, 0.0), seconds, int(size), first)
        run.batches += batches.values()
    return dict(zip(names, found, strict=False))
