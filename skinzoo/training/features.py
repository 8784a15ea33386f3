"""Backbone features computed once: of each training image one plain view and some augmented ones.

A cache is a folder `$SKINZOO_HOME/cache/features/<key>/` with `train.npy` (float16, `(views, rows, ...)`),
`validation.npy` (`(rows, ...)`) and `record.json`; it is written under another name and renamed, so that a
kill leaves none that is half done. The key is a hash of everything that the features depend on, the
backbone's weights included.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skinzoo.config import RunConfig
from skinzoo.data.cache import ImageCache
from skinzoo.data.order import EpochOrder, Sequential, generator
from skinzoo.data.pipeline import ENDLESS, InputPipeline, label_indices
from skinzoo.data.table import fingerprint
from skinzoo.files import write_json
from skinzoo.home import cache_folder
from skinzoo.specs import Vocabularies
from skinzoo.training import prepare
from skinzoo.training.runs import on_full_disk
from skinzoo.training.source import Source

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from skinzoo.model import ResolvedVariant

FEATURES = "features"
RECORD_FILE = "record.json"
TRAIN_FILE, VALIDATION_FILE = "train.npy", "validation.npy"
VIEW_STREAM = 0x71E3
POOLED_LAYER = "image_vector"
BATCH = 32


class FeatureBatches:
    """Batches of cached features, `(inputs, labels)` like those of images with `features` for `image`.

    Args:
        features: float16 `(views, rows, ...)`.
        part: The rows' cases.
        classes: Class names in order.
        vocabularies: Vocabularies of sex and localization.
        batch_size: Rows in a batch.
        order: Rows of each epoch.
        seed: Seed of the choice of views.
    """

    def __init__(
        self,
        features: np.ndarray,
        part: pd.DataFrame,
        *,
        classes: tuple[str, ...],
        vocabularies: Vocabularies,
        batch_size: int,
        order: EpochOrder,
        seed: int = 0,
    ) -> None:
        self.features = features
        self.batch_size = batch_size
        self.order = order
        self.seed = seed
        self._labels = np.eye(len(classes), dtype=np.float32)[label_indices(part["label"], classes)]
        self._age = part["age"].to_numpy(np.float32)
        self._sex = vocabularies.sex.indices(part["sex"])
        self._localization = vocabularies.localization.indices(part["localization"])

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return -(-self.order.length // self.batch_size)

    def views(self, epoch: int) -> np.ndarray:
        """Return the view of each place of an epoch; a function of seed and epoch alone."""
        random = generator(self.seed + VIEW_STREAM, epoch)
        return random.integers(len(self.features), size=self.order.length)

    def epochs(self, start: int = 0, stop: int | None = None, *, first_step: int = 0) -> tf.data.Dataset:
        """Return the batches of consecutive epochs, the first `first_step` ones left out."""
        import tensorflow as tf

        def places(epoch: tf.Tensor) -> tf.data.Dataset:
            chosen = tf.numpy_function(
                lambda number: np.stack([self.views(int(number)), self.order(int(number))], axis=1),
                [epoch],
                tf.int64,
                stateful=False,
            )
            chosen = tf.ensure_shape(chosen, (self.order.length, 2))
            return tf.data.Dataset.from_tensor_slices(chosen).batch(self.batch_size)

        def gather(chosen: tf.Tensor) -> tuple[Any, Any]:
            rows = chosen[:, 1]
            features = tf.numpy_function(
                lambda pairs: self.features[pairs[:, 0], pairs[:, 1]], [chosen], tf.float16, stateful=False
            )
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
            .map(gather, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        )
        if stop is not None:
            left = (stop - start) * self.steps_per_epoch - first_step
            dataset = dataset.apply(tf.data.experimental.assert_cardinality(max(left, 0)))
        return dataset.prefetch(tf.data.AUTOTUNE)


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
    progress: Callable[[int, int], None],
) -> Source:
    """Return the part of a model behind its features, with batches of these.

    Args:
        config: The configuration; its method says where the features are taken.
        cases: The cases.
        variant: The variant.
        model: The whole model; the part shares its layers.
        images: Decoded images.
        labels: Labels of the validation part, one-hot.
        progress: Called with the number of images done and their total.
    """
    extractor, trained = split_at_features(config, model)
    train_part, validation_part = (images.usable(cases.part(name)) for name in ("train", "validation"))
    prepare.check_batch_size(config, len(train_part))
    folder = cached_features(
        config,
        variant,
        extractor,
        {"train": train_part, "validation": validation_part},
        images,
        cases,
        progress,
    )
    shared: dict[str, Any] = {"classes": cases.classes, "vocabularies": cases.vocabularies}
    train = FeatureBatches(
        np.load(folder / TRAIN_FILE, mmap_mode="r"),
        train_part,
        batch_size=config.training.batch_size,
        order=prepare.order_of_epochs(config, train_part),
        seed=config.training.seed,
        **shared,
    )
    validation = FeatureBatches(
        np.load(folder / VALIDATION_FILE, mmap_mode="r")[np.newaxis],
        validation_part,
        batch_size=config.training.validation_batch_size,
        order=Sequential(len(validation_part)),
        **shared,
    )
    return Source(trained, train, validation, labels, train.order.length)


def cached_features(
    config: RunConfig,
    variant: ResolvedVariant,
    extractor: keras.Model,
    parts: dict[str, pd.DataFrame],
    images: ImageCache,
    cases: prepare.Cases,
    progress: Callable[[int, int], None],
) -> Path:
    """Find or compute the features of both parts and return their folder.

    Raises:
        ModelError: The cache cannot be written.
    """
    about = {
        "network": _network(config, variant),
        "method": config.training.method,
        "decoding": images.decoding.as_dict(),
        "augmentation": config.as_dict()["augmentation"],
        "views": config.training.views,
        "seed": config.training.seed,
        "data": fingerprint(cases.table),
        "split": cases.split.hash,
        "weights": _digest(extractor),
        "policy": extractor.dtype_policy.name,
    }
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:24]
    base = cache_folder() / FEATURES
    folder = base / key
    if (folder / RECORD_FILE).exists():
        return folder
    temporary = base / f".{key}.{secrets.token_hex(4)}.part"
    with on_full_disk(base):
        temporary.mkdir(parents=True)
        try:
            _write(config, extractor, parts, images, cases, temporary, progress)
            write_json(temporary / RECORD_FILE, about)
            try:
                temporary.rename(folder)
            except OSError:
                # Another process finished the same features first.
                if not (folder / RECORD_FILE).exists():
                    raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _write(
    config: RunConfig,
    extractor: keras.Model,
    parts: dict[str, pd.DataFrame],
    images: ImageCache,
    cases: prepare.Cases,
    folder: Path,
    progress: Callable[[int, int], None],
) -> None:
    import tensorflow as tf

    forward = tf.function(lambda image: extractor(image, training=False), reduce_retracing=True)
    views = config.training.views
    rows = len(parts["train"]) * views + len(parts["validation"])
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(done, rows)

    def batches(part: str, augmented: bool) -> InputPipeline:
        return InputPipeline(
            parts[part],
            images,
            classes=cases.classes,
            vocabularies=cases.vocabularies,
            batch_size=min(BATCH, len(parts[part])),
            augmentation=prepare.augmentation_of(config) if augmented else None,
            seed=config.training.seed,
        )

    shape = tuple(extractor.output.shape[1:])
    target = _new(folder / TRAIN_FILE, (views, len(parts["train"]), *shape))
    for view in range(views):
        # The first view is the plain image, as at inference.
        pipeline = batches("train", augmented=view > 0)
        _fill(target[view], forward, pipeline.epoch(view), advance)
    target.flush()
    target = _new(folder / VALIDATION_FILE, (len(parts["validation"]), *shape))
    _fill(target, forward, batches("validation", augmented=False).epoch(0), advance)
    target.flush()


def _new(path: Path, shape: tuple[int, ...]) -> np.memmap:
    import os

    target: np.memmap = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    if hasattr(os, "posix_fallocate"):
        # Writing to a mapped file on a full disk would kill the process.
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return target


def _fill(
    target: np.ndarray, forward: Callable[[Any], Any], dataset: Any, advance: Callable[[int], None]
) -> None:
    start = 0
    for inputs, _ in dataset:
        values = forward(inputs["image"]).numpy()
        # Float16 ends at 65,504; beyond it a feature would become infinite.
        limit = np.finfo(np.float16).max
        target[start : start + len(values)] = np.clip(values.astype(np.float32), -limit, limit)
        start += len(values)
        advance(len(values))


def _place(config: RunConfig, model: keras.Model) -> Any:
    from skinzoo.model import feature_map

    return model.get_layer(POOLED_LAYER).output if config.training.method == "linear" else feature_map(model)


def _network(config: RunConfig, variant: ResolvedVariant) -> dict[str, Any]:
    """Return the choices that the features depend on, so that variants of one backbone share them."""
    described = variant.describe()
    behind = {"variant", "fusion", "head", "classes"}
    if config.training.method == "frozen":
        behind |= {"attention", "pooling"}
    return {name: value for name, value in described.items() if name not in behind}


def _digest(extractor: keras.Model) -> str:
    digest = hashlib.sha256()
    for weight in extractor.get_weights():
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()
