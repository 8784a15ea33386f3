"""Backbone features computed once, in a thread, while the training on them has already begun.

A cache is a folder `$SKINZOO_HOME/cache/features/<key>/` with `train.npy` (float16, `(views, rows, ...)`; the
first view is the plain image, the others are augmented), `validation.npy` (`(rows, ...)`) and `record.json`.
It is written under another name and renamed, so that a kill leaves none that is half done. The key is a hash
of everything that the features depend on, the backbone's weights included. They are computed in an order that
depends on nothing else: validation, then view after view, each shuffled.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skinzoo.config import RunConfig
from skinzoo.data.cache import ImageCache
from skinzoo.data.order import EpochOrder, Sequential, Shuffled
from skinzoo.data.pipeline import InputPipeline
from skinzoo.data.table import fingerprint
from skinzoo.files import write_json
from skinzoo.home import cache_folder
from skinzoo.training import prepare
from skinzoo.training.lock import LOCK_FILE, is_locked, locked
from skinzoo.training.runs import on_full_disk
from skinzoo.training.stream import Stream

if TYPE_CHECKING:
    import keras

    from skinzoo.model import ResolvedVariant

FOLDER = "features"
FORMAT = 2
RECORD_FILE = "record.json"
TRAIN_FILE, VALIDATION_FILE = "train.npy", "validation.npy"
BATCH = 16


@dataclass(frozen=True)
class Features:
    """Features of both parts.

    Args:
        train: float16 `(views, rows, ...)`.
        validation: float16 `(rows, ...)`.
        stream: Computes them, first those of validation; None where all are there.
        piece: Which piece of the stream each view of each training row is, `(views, rows)`.
    """

    train: np.ndarray
    validation: np.ndarray
    stream: Stream | None = None
    piece: np.ndarray | None = None

    def wait_for_validation(self, meanwhile: Callable[[], None]) -> None:
        """Return when those of validation are there; `meanwhile` is called now and then."""
        if self.stream is not None:
            self.stream.wait(len(self.validation), meanwhile)

    def close(self) -> None:
        """Give up what is still being computed."""
        if self.stream is not None:
            self.stream.close()


def find_or_begin(
    config: RunConfig,
    variant: ResolvedVariant,
    extractor: keras.Model,
    parts: dict[str, pd.DataFrame],
    images: ImageCache,
    cases: prepare.Cases,
    report: Callable[[int, int], None],
) -> Features:
    """Find the features of both parts, or begin to compute them.

    Args:
        config: The configuration.
        variant: The variant.
        extractor: The model up to the features.
        parts: The rows of `train` and of `validation`.
        images: Decoded images.
        cases: The cases.
        report: Called with the number of features done and their total, by whoever waits for some.

    Raises:
        ModelError: The cache cannot be written.
    """
    about = {
        "format": FORMAT,
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
    folder = cache_folder() / FOLDER / key
    if (folder / RECORD_FILE).exists():
        train, validation = (np.load(folder / name, mmap_mode="r") for name in (TRAIN_FILE, VALIDATION_FILE))
        return Features(train, validation)
    with on_full_disk(folder.parent):
        _remove_what_kills_left(folder.parent)
        temporary = folder.with_name(f".{key}.{secrets.token_hex(4)}.part")
        temporary.mkdir(parents=True)
        try:
            return _begin(config, extractor, parts, images, cases, temporary, folder, about, report)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def forward_of(extractor: keras.Model) -> Callable[[Any], Any]:
    """Return a function from a batch of images to their features, float16.

    The weights are constants of its graph, so that TensorFlow joins convolutions with the batch normalisation
    and activation behind them. Float16 ends at 65,504; beyond it a feature would become infinite.
    """
    import keras
    import tensorflow as tf

    trainable, others = (
        [keras.ops.convert_to_numpy(variable) for variable in variables]
        for variables in (extractor.trainable_variables, extractor.non_trainable_variables)
    )
    limit = float(np.finfo(np.float16).max)

    def forward(image: tf.Tensor) -> tf.Tensor:
        constants = ([tf.constant(array) for array in arrays] for arrays in (trainable, others))
        values, _ = extractor.stateless_call(*constants, image, training=False)
        return tf.cast(tf.clip_by_value(tf.cast(values, tf.float32), -limit, limit), tf.float16)

    # Traced here: layers find Keras' settings in the thread that has made them.
    image = tf.TensorSpec(extractor.input.shape, extractor.input.dtype)
    return tf.function(forward, autograph=False).get_concrete_function(image)


def _begin(
    config: RunConfig,
    extractor: keras.Model,
    parts: dict[str, pd.DataFrame],
    images: ImageCache,
    cases: prepare.Cases,
    temporary: Path,
    folder: Path,
    about: dict[str, Any],
    report: Callable[[int, int], None],
) -> Features:
    views, rows, held_out = config.training.views, len(parts["train"]), len(parts["validation"])
    shape = tuple(extractor.output.shape[1:])
    train = _new(temporary / TRAIN_FILE, (views, rows, *shape))
    validation = _new(temporary / VALIDATION_FILE, (held_out, *shape))
    forward = forward_of(extractor)
    order = Shuffled(rows, config.training.seed)

    def pipeline(part: str, order: EpochOrder, augmented: bool = False) -> InputPipeline:
        return InputPipeline(
            parts[part],
            images,
            classes=cases.classes,
            vocabularies=cases.vocabularies,
            batch_size=BATCH,
            order=order,
            augmentation=prepare.augmentation_of(config) if augmented else None,
            seed=config.training.seed,
        )

    jobs: list[tuple[np.ndarray, np.ndarray, Any]] = [
        (validation, np.arange(held_out), pipeline("validation", Sequential(held_out)).epoch())
    ]
    # An epoch of the pipeline is a view, whose augmentation is drawn by its number.
    for first, stop in ((0, 1), (1, views)):
        if first < stop:
            places = np.concatenate([view * rows + order(view) for view in range(first, stop)])
            batches = pipeline("train", order, augmented=first > 0).epochs(first, stop)
            jobs.append((train.reshape(-1, *shape), places, batches))

    def work(advance: Callable[[int], None]) -> None:
        try:
            with locked(temporary), on_full_disk(folder.parent):
                for target, places, batches in jobs:
                    _fill(target, places, batches, forward, advance)
                train.flush()
                validation.flush()
                write_json(temporary / RECORD_FILE, about)
                (temporary / LOCK_FILE).unlink(missing_ok=True)
                try:
                    temporary.rename(folder)
                except OSError:
                    # Another process finished the same features first.
                    if not (folder / RECORD_FILE).exists():
                        raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    piece = np.empty(views * rows, np.int64)
    piece[np.concatenate([places for _, places, _ in jobs[1:]])] = held_out + np.arange(views * rows)
    stream = Stream(held_out + views * rows, work, report)
    stream.start()
    return Features(train, validation, stream, piece.reshape(views, rows))


def _fill(
    target: np.ndarray,
    places: np.ndarray,
    batches: Iterable[Any],
    forward: Callable[[Any], Any],
    advance: Callable[[int], None],
) -> None:
    start = 0
    for inputs, _ in batches:
        values = forward(inputs["image"]).numpy()
        target[places[start : start + len(values)]] = values
        start += len(values)
        advance(len(values))


def _new(path: Path, shape: tuple[int, ...]) -> np.memmap:
    target: np.memmap = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    if hasattr(os, "posix_fallocate"):
        # Writing to a mapped file on a full disk would kill the process.
        with path.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
    return target


def _remove_what_kills_left(base: Path) -> None:
    for left in base.glob(".*.part"):
        if (left / LOCK_FILE).exists() and not is_locked(left):
            shutil.rmtree(left, ignore_errors=True)


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
