"""From a part of the table, the cache and the vocabularies to batches.

A batch is `(inputs, labels)` or `(inputs, labels, sample_weight)` with

    inputs = {"image": uint8 (b, size, size, 3) RGB, "age": float32 (b,) with NaN for unknown,
              "sex": int32 (b,), "localization": int32 (b,)}
    labels = one-hot float32 (b, classes)

Only row numbers run through `tf.data`; a whole batch of images is then copied out of the cache at once. Row
order is a pure function of (seed, epoch) and augmented pixels one of (seed, epoch, step), so that a training
which is resumed at (epoch, step) sees what it would have seen.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skinzoo.data.augment import Augmentation, Augmenter
from skinzoo.data.cache import ImageCache
from skinzoo.data.order import EpochOrder, Sequential, check_seed
from skinzoo.data.untuned import AHEAD, parallel_calls, untuned
from skinzoo.errors import DataError, UsageError, did_you_mean
from skinzoo.specs import Vocabularies

if TYPE_CHECKING:
    import pandas as pd
    import tensorflow as tf

ENDLESS = np.iinfo(np.int64).max
SHARE_STREAM = 0x5A1E


class InputPipeline:
    """Batches of one part of a dataset.

    Args:
        part: Rows of the canonical table.
        images: Cache that holds their images.
        classes: Class names in the dataset's order.
        vocabularies: Vocabularies of sex and localization.
        batch_size: Rows in a batch.
        order: Rows of each epoch; the table's order where not given. Balancing is an order, too.
        augmentation: What is done to the images of `epoch` and `epochs`.
        seed: Seed of the augmentation.
        drop_remainder: Leave an epoch's last batch out where it is not full.
        sample_weight: Weights of shape `(rows of part,)`; a third element of each batch where given.
        share: `(rank, size)`: of each batch only every `size`-th row, from `rank` on, where `size` processes
            share the batches.

    Raises:
        DataError: A label is not among the classes, or an image is not in the cache.
        UsageError: A setting cannot be honoured.
    """

    def __init__(
        self,
        part: pd.DataFrame,
        images: ImageCache,
        *,
        classes: Sequence[str],
        vocabularies: Vocabularies | None = None,
        batch_size: int = 32,
        order: EpochOrder | None = None,
        augmentation: Augmentation | None = None,
        seed: int = 0,
        drop_remainder: bool = False,
        sample_weight: Sequence[float] | np.ndarray | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise UsageError(f"`batch_size` must be a whole number of at least 1. Received: {batch_size!r}.")
        check_seed(seed)
        if part.empty:
            raise DataError("A part must have at least one row. Received: none.")
        vocabularies = vocabularies or Vocabularies()
        self.images = images
        self.classes = tuple(classes)
        self.batch_size = batch_size
        self.drop_remainder = drop_remainder
        self.share = share
        self.order = order if order is not None else Sequential(len(part))
        self._rows = images.rows(part["image_id"])
        self._labels = label_indices(part["label"], self.classes)
        self._age = part["age"].to_numpy(np.float32)
        self._sex = vocabularies.sex.indices(part["sex"])
        self._localization = vocabularies.localization.indices(part["localization"])
        self._weight = None if sample_weight is None else np.asarray(sample_weight, np.float32)
        if self._weight is not None and self._weight.shape != (len(part),):
            raise UsageError(
                f"`sample_weight` must have shape ({len(part)},). Received: {self._weight.shape}."
            )
        self.size = images.decoding.size
        # Processes that share a batch draw differently.
        self._augmenter = (
            Augmenter(augmentation, size=self.size, seed=seed + share[0] * SHARE_STREAM)
            if augmentation
            else None
        )
        if self.steps_per_epoch == 0:
            raise UsageError(
                f"`batch_size` must be at most the {self.order.length} rows of an epoch where the remainder "
                f"is dropped. Received: {batch_size}."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        full, rest = divmod(self.order.length, self.batch_size)
        return full if self.drop_remainder else full + bool(rest)

    def smaller(self, size: int) -> InputPipeline:
        """Return the same batches with images of fewer pixels, for `epoch` and `epochs`.

        Args:
            size: Their height and width, at most that of the cache.
        """
        if not 1 <= size <= self.images.decoding.size:
            raise UsageError(
                f"`size` must be from 1 to the {self.images.decoding.size} pixels of the images. "
                f"Received: {size}."
            )
        other = copy.copy(self)
        other.size = size
        return other

    def rows_of_epoch(self, epoch: int) -> np.ndarray:
        """Return the rows of the part that an epoch shows, in order."""
        return self.order(epoch)[: self.steps_per_epoch * self.batch_size]

    def epoch(self, epoch: int = 0, *, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of one epoch.

        Args:
            epoch: Number of the epoch, from 0.
            first_step: Steps to leave out, without reading them.
        """
        return self.epochs(epoch, epoch + 1, first_step=first_step)

    def epochs(self, start: int = 0, stop: int | None = None, *, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of consecutive epochs; for `fit` with `steps_per_epoch`.

        Args:
            start: First epoch.
            stop: Epoch to end before; never, where not given.
            first_step: Steps of the first epoch to leave out, without reading them.
        """
        import tensorflow as tf

        calls = parallel_calls()
        dataset = (
            tf.data.Dataset.range(start, ENDLESS if stop is None else stop)
            .flat_map(self._steps)
            .skip(first_step)
            .map(self._gather, num_parallel_calls=calls, deterministic=True)
        )
        if self._augmenter is not None:
            dataset = dataset.map(self._augment, num_parallel_calls=calls, deterministic=True)
        else:
            dataset = dataset.map(lambda epoch, step, batch: batch)
        if self.size != self.images.decoding.size:
            dataset = dataset.map(self._shrink, num_parallel_calls=calls, deterministic=True)
        if stop is not None:
            left = (stop - start) * self.steps_per_epoch - first_step
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(max(left, 0)))
        options = tf.data.Options()
        # Batches are made of row numbers: there are no files that workers could divide among them.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return untuned(dataset.with_options(options).prefetch(AHEAD))

    def numpy_batches(self, epoch: int = 0, *, first_step: int = 0) -> Iterator[tuple[Any, ...]]:
        """Yield an epoch's batches as NumPy arrays, without TensorFlow and without augmentation.

        Order and content are those of `epoch` of a pipeline without augmentation.
        """
        rows = self.rows_of_epoch(epoch)
        for start in range(first_step * self.batch_size, len(rows), self.batch_size):
            chosen = self._own(rows[start : start + self.batch_size])
            inputs = {
                "image": self.images.gather(self._rows[chosen]),
                "age": self._age[chosen],
                "sex": self._sex[chosen],
                "localization": self._localization[chosen],
            }
            labels = np.eye(len(self.classes), dtype=np.float32)[self._labels[chosen]]
            yield (inputs, labels) if self._weight is None else (inputs, labels, self._weight[chosen])

    def _steps(self, epoch: tf.Tensor) -> tf.data.Dataset:
        import tensorflow as tf

        rows = tf.numpy_function(lambda number: self.order(int(number)), [epoch], tf.int64, stateful=False)
        rows = tf.ensure_shape(rows, (self.order.length,))
        batches = tf.data.Dataset.from_tensor_slices(rows).batch(self.batch_size, self.drop_remainder)
        return batches.enumerate().map(lambda step, chosen: (epoch, step, self._own(chosen)))

    def _own(self, batch: Any) -> Any:
        rank, size = self.share
        return batch if size == 1 else batch[rank::size]

    def _gather(self, epoch: tf.Tensor, step: tf.Tensor, chosen: tf.Tensor) -> tuple[Any, ...]:
        import tensorflow as tf

        size = self.images.decoding.size
        images = tf.numpy_function(
            lambda numbers: self.images.gather(self._rows[numbers]), [chosen], tf.uint8, stateful=False
        )
        inputs = {
            "image": tf.ensure_shape(images, (chosen.shape[0], size, size, 3)),
            "age": tf.gather(self._age, chosen),
            "sex": tf.gather(self._sex, chosen),
            "localization": tf.gather(self._localization, chosen),
        }
        batch: tuple[Any, ...] = (inputs, tf.one_hot(tf.gather(self._labels, chosen), len(self.classes)))
        if self._weight is not None:
            batch = (*batch, tf.gather(self._weight, chosen))
        return epoch, step, batch

    def _augment(self, epoch: tf.Tensor, step: tf.Tensor, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        assert self._augmenter is not None
        inputs, *rest = batch
        return ({**inputs, "image": self._augmenter(inputs["image"], epoch, step)}, *rest)

    def _shrink(self, inputs: dict[str, Any], *rest: Any) -> tuple[Any, ...]:
        import tensorflow as tf

        # The mean over areas: interpolation between four pixels would leave out those between them.
        images = tf.image.resize(inputs["image"], (self.size, self.size), method="area")
        return ({**inputs, "image": tf.cast(tf.round(images), tf.uint8)}, *rest)


def label_indices(labels: Sequence[str] | pd.Series, classes: Sequence[str]) -> np.ndarray:
    """Return the class index of each label as int32.

    Raises:
        DataError: A label is not among the classes.
    """
    table = {name: index for index, name in enumerate(classes)}
    values = list(labels)
    for value in values:
        if value not in table:
            raise DataError(
                f"`label` must be one of {', '.join(classes)}. Received: '{value}'.",
                hint=did_you_mean(str(value), classes),
            )
    return np.array([table[value] for value in values], np.int32)
