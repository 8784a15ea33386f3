"""Warm-up records: the requests with which a server runs a model before it says that it is ready."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skinzoo.errors import UsageError
from skinzoo.export import names
from skinzoo.export.golden import Golden

DEFAULT_BATCHES = (1, 8, 32)
LARGEST_BATCH = 1024
MOST_RECORDS = 1000
"""TensorFlow Serving's limit."""
SIGNATURES = (names.SERVING, names.IMAGE_ONLY, names.TENSORS, names.DECODE)


def check_batches(batches: Sequence[int]) -> tuple[int, ...]:
    """Return batch sizes in ascending order, each once.

    Raises:
        UsageError: One is out of range, or there are too many.
    """
    for batch in batches:
        if isinstance(batch, bool) or not isinstance(batch, int) or not 1 <= batch <= LARGEST_BATCH:
            raise UsageError(
                f"`warmup_batches` must be whole numbers from 1 to {LARGEST_BATCH}. Received: {batch!r}."
            )
    found = tuple(sorted(set(batches)))
    if len(found) * len(SIGNATURES) >= MOST_RECORDS:
        raise UsageError(
            f"`warmup_batches` must be fewer than {MOST_RECORDS // len(SIGNATURES)}. Received: {len(found)}."
        )
    return found


def write_warmup(
    path: Path, golden: Golden, *, model: str, pixels: np.ndarray, batches: Sequence[int]
) -> int:
    """Write a request for each signature and batch size.

    Args:
        path: The TFRecord file.
        golden: Cases that fill the batches, repeated where they are too few.
        model: Name of the model.
        pixels: The cases' decoded images, uint8 `(cases, size, size, 3)`.
        batches: Batch sizes.

    Returns:
        Number of records.
    """
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    count = 0
    with tf.io.TFRecordWriter(str(path)) as writer:
        for batch in batches:
            for signature, inputs in _requests(golden, pixels, batch):
                request = predict_pb2.PredictRequest()
                request.model_spec.name = model
                request.model_spec.signature_name = signature
                for name, value in inputs.items():
                    request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
                log = prediction_log_pb2.PredictionLog(
                    predict_log=prediction_log_pb2.PredictLog(request=request)
                )
                writer.write(log.SerializeToString())
                count += 1
    return count


def _requests(golden: Golden, pixels: np.ndarray, batch: int) -> Iterator[tuple[str, dict[str, Any]]]:
    cases = [golden.cases[i % len(golden.cases)] for i in range(batch)]
    images = {names.IMAGE_BYTES: np.array([case.image for case in cases], object)}
    metadata = {
        names.AGE: np.array([np.nan if case.age is None else case.age for case in cases], np.float32),
        names.SEX: np.array([case.sex.encode() for case in cases], object),
        names.LOCALIZATION: np.array([case.localization.encode() for case in cases], object),
    }
    yield names.SERVING, images | metadata
    yield names.IMAGE_ONLY, images
    yield names.TENSORS, {names.IMAGE: pixels[np.arange(batch) % len(pixels)]} | metadata
    yield names.DECODE, images
