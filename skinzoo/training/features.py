"""Training on backbone features: the model behind them, and batches of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skinzoo.config import RunConfig
from skinzoo.data.cache import ImageCache
from skinzoo.data.pipeline import ENDLESS, label_indices
from skinzoo.data.untuned import AHEAD, parallel_calls, untuned
from skinzoo.specs import Vocabularies
from skinzoo.training import prepare
from skinzoo.training.feature_cache import find_or_begin
from skinzoo.training.order import FeatureOrder, FirstView
from skinzoo.training.source import Source
from skinzoo.training.stream import Stream

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from skinzoo.model import ResolvedVariant

FEATURES = "features"
POOLED_LAYER = "image_vector"
WAITING_THREADS = 2


class FeatureBatches:
    """Batches of cached features, `(inputs, labels)` like those of images with `features` for `image`.

    Args:
        features: Features of the rows; where some are still being computed, batches wait for them.
        part: The rows' cases.
        classes: Class names in order.
        vocabularies: Vocabularies of sex and localization.
        batch_size: Rows in a batch.
        order: View and row of each place of an epoch.
    """

    def __init__(
        self,
        features: np.ndarray,
        part: pd.DataFrame,
        *,
        classes: tuple[str, ...],
        vocabularies: Vocabularies,
        batch_size: int,
        order: FeatureOrder | FirstView,
        stream: Stream | None = None,
        piece: np.ndarray | None = None,
    ) -> None:
        self.features = features
        self.batch_size = batch_size
        self.order = order
        self._labels = np.eye(len(classes), dtype=np.float32)[label_indices(part["label"], classes)]
        self._age = part["age"].to_numpy(np.float32)
        self._sex = vocabularies.sex.indices(part["sex"])
        self._localization = vocabularies.localization.indices(part["localization"])
        self._stream = stream
        self._piece = piece
        self._pieces_of: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-self.order.length // self.batch_size)

    def wait(self, epoch: int, step: int, meanwhile: Callable[[], None]) -> None:
        """Return when the features of a step are there; `meanwhile` is called now and then.

        Raises:
            BaseException: What computing them has failed with.
        """
        if self._stream is None:
            return
        if self._pieces_of[0] != epoch:
            self._pieces_of = epoch, self._pieces(self.order(epoch))
        inside = slice(step * self.batch_size, (step + 1) * self.batch_size)
        self._stream.wait(int(self._pieces_of[1][inside].max()) + 1, meanwhile)

    def _pieces(self, chosen: np.ndarray) -> np.ndarray:
        assert self._piece is not None
        return self._piece[chosen[:, 0], chosen[:, 1]]

    def _gather(self, chosen: np.ndarray) -> np.ndarray:
        if self._stream is not None:
            self._stream.await_silently(int(self._pieces(chosen).max()) + 1)
        return self.features[chosen[:, 0], chosen[:, 1]]

    def epochs(self, start: int = 0, stop: int | None = None, *, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of consecutive epochs, the first `first_step` ones left out."""
        import tensorflow as tf

        def places(epoch: tf.Tensor) -> tf.data.Dataset:
            chosen = tf.numpy_function(
                lambda number: self.order(int(number)), [epoch], tf.int64, stateful=False
            )
            chosen = tf.ensure_shape(chosen, (self.order.length, 2))
            return tf.data.Dataset.from_tensor_slices(chosen).batch(self.batch_size)

        def gather(chosen: tf.Tensor) -> tuple[Any, Any]:
            rows = chosen[:, 1]
            features = tf.numpy_function(self._gather, [chosen], tf.float16, stateful=False)
            inputs = {
                FEATURES: tf.ensure_shape(features, (None, *self.features.shape[2:])),
                "age": tf.gather(self._age, rows),
                "sex": tf.gather(self._sex, rows),
                "localization": tf.gather(self._localization, rows),
            }
            return inputs, tf.gather(self._labels, rows)

        dataset = (
            tf.data.Dataset.range(start, ENDLESS if stop is None else stop)
            .flat_map(places)
            .skip(first_step)
            .map(gather, num_parallel_calls=parallel_calls(), deterministic=True)
        )
        if stop is not None:
            left = (stop - start) * self.steps_per_epoch - first_step
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(max(left, 0)))
        options = tf.data.Options()
        if self._stream is not None:
            # Batches prepared ahead wait for features, and must not do so in the threads that compute them.
            options.threading.private_threadpool_size = WAITING_THREADS
        return untuned(dataset.with_options(options).prefetch(AHEAD))


def split_at_features(config: RunConfig, model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """Return the part of a model up to its features, and the part behind them; both share its layers.

    Args:
        config: The configuration; its method says where the features are taken.
        model: The whole model.
    """
    import keras

    place = _place(config, model)
    extractor = keras.Model(model.input["image"], place, name="extractor")
    inputs = {
        FEATURES: keras.Input(tuple(place.shape[1:]), dtype="float16", name=FEATURES),
        **{
            name: keras.Input((), dtype=model.input[name].dtype, name=name)
            for name in ("age", "sex", "localization")
        },
    }
    behind = keras.Model([place, *(model.input[name] for name in list(inputs)[1:])], model.output)
    cast = keras.layers.Rescaling(1.0, dtype=keras.config.dtype_policy())(inputs[FEATURES])
    trained = keras.Model(
        inputs, behind([cast, *list(inputs.values())[1:]]), name=f"{model.name}_on_features"
    )
    return extractor, trained


def feature_source(
    config: RunConfig,
    cases: prepare.Cases,
    variant: ResolvedVariant,
    model: keras.Model,
    images: ImageCache,
    labels: np.ndarray,
    report: Callable[[int, int], None],
    meanwhile: Callable[[], None],
) -> Source:
    """Return the part of a model behind its features, with batches of these.

    Features that are not cached are computed in a thread; returns as soon as the first step can be made.

    Args:
        config: The configuration; its method says where the features are taken.
        cases: The cases.
        variant: The variant.
        model: The whole model; the part shares its layers.
        images: Decoded images.
        labels: Labels of the validation part, one-hot.
        report: Called with the number of features done and their total, now and during the training.
        meanwhile: Called now and then until the first step can be made; may raise what ends the waiting.

    Raises:
        ModelError: The cache cannot be written.
    """
    training = config.training
    extractor, trained = split_at_features(config, model)
    parts = {name: images.usable(cases.part(name)) for name in ("train", "validation")}
    prepare.check_batch_size(config, len(parts["train"]))
    features = find_or_begin(config, variant, extractor, parts, images, cases, report)
    shared: dict[str, Any] = {"classes": cases.classes, "vocabularies": cases.vocabularies}
    train = FeatureBatches(
        features.train,
        parts["train"],
        batch_size=training.batch_size,
        order=FeatureOrder(
            prepare.order_of_passes(config, parts["train"]),
            training.views,
            prepare.order_of_epochs(config, parts["train"]).length,
            training.seed,
        ),
        stream=features.stream,
        piece=features.piece,
        **shared,
    )
    validation = FeatureBatches(
        features.validation[np.newaxis],
        parts["validation"],
        batch_size=training.validation_batch_size,
        order=FirstView(len(parts["validation"])),
        **shared,
    )
    source = Source(trained, train, validation, labels, train.order.length, train.wait, features.close)
    try:
        features.wait_for_validation(meanwhile)
        train.wait(0, 0, meanwhile)
    except BaseException:
        source.close()
        raise
    return source


def _place(config: RunConfig, model: keras.Model) -> Any:
    from skinzoo.model import feature_map

    return model.get_layer(POOLED_LAYER).output if config.training.method == "linear" else feature_map(model)
