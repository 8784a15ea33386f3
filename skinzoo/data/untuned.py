"""`tf.data` without the thread that tunes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skinzoo.machine import cores

if TYPE_CHECKING:
    import tensorflow as tf

AHEAD = 2
"""Batches that wait, prepared, for the step that takes them."""
_MOST_CALLS = 16


def parallel_calls() -> int:
    """Return how many batches are prepared at once: one a core, but no more than fit into memory easily."""
    return min(cores(), _MOST_CALLS)


def untuned(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return a dataset of which TensorFlow does not tune threads and buffers while it runs.

    An iterator that is given up waits, now and then, until its tuning thread wakes up, and that thread sleeps
    the longer the longer the iterator has lived. Seen with TensorFlow 2.21: of 60 iterators that lived two
    seconds ten waited half a second to a second, of 20 without the thread none.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)
