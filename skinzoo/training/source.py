"""What the loop trains on: a model and the batches that go into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Batches(Protocol):
    """Batches whose content is a pure function of epoch and step."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""

    def epochs(self, start: int = 0, stop: int | None = None, *, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of consecutive epochs, the first `first_step` ones left out."""


@dataclass(frozen=True)
class Source:
    """A model with its batches.

    Args:
        model: What is trained.
        train: Batches of the training part.
        validation: Batches of the validation part, in the order of `labels`.
        labels: Labels of the validation part, one-hot `(cases, classes)`.
        cases: Cases that an epoch of the training part shows.
        wait: Called before each step with its epoch and number, and with what to call while waiting; returns
            when the step's batch can be had.
        close: Called when no batch is wanted any more.
        small: The same for smaller images, the layers shared; None where there are none.
    """

    model: keras.Model
    train: Batches
    validation: Batches
    labels: np.ndarray
    cases: int
    wait: Callable[[int, int, Callable[[], None]], None] = lambda epoch, step, meanwhile: None
    close: Callable[[], None] = lambda: None
    small: Source | None = None
