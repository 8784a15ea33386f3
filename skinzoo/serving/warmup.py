"""Requests that a version answers before it is available."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from skinzoo.errors import ModelError
from skinzoo.export import names
from skinzoo.serving import inference
from skinzoo.serving.servable import Servable
from skinzoo.serving.status import RpcError

MOST_RECORDS = 1000
"""TensorFlow Serving's limit."""


def warm_up(servable: Servable, *, times: int = 1) -> int:
    """Replay the warm-up records of a version.

    Args:
        servable: The loaded version.
        times: How often each is replayed.

    Returns:
        How many there were.

    Raises:
        ModelError: A record cannot be read or answered, or there are too many.
    """
    path = servable.path / names.EXTRA_FOLDER / names.WARMUP_FILE
    if not path.is_file():
        return 0
    count = 0
    for count, log in enumerate(_records(path), start=1):
        if count > MOST_RECORDS:
            raise ModelError(f"'{path}' must hold at most {MOST_RECORDS} warm-up records. Received: more.")
        try:
            for _ in range(times):
                _replay(servable, log)
        except RpcError as error:
            raise ModelError(
                f"Warm-up record {count} of '{path}' must be answered. "
                f"Received: {error.code.name}, {error.message}",
                hint="Load without warm-up with: --no-enable-model-warmup",
            ) from error
    return count


def _records(path: Path) -> Iterator[prediction_log_pb2.PredictionLog]:
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield prediction_log_pb2.PredictionLog.FromString(record)
    except (tf.errors.OpError, DecodeError) as error:
        raise ModelError(
            f"'{path}' must be a TFRecord file of PredictionLog records. Received: {error}"
        ) from error


def _replay(servable: Servable, log: prediction_log_pb2.PredictionLog) -> None:
    kind = log.WhichOneof("log_type")
    if kind == "predict_log":
        inference.predict(servable, log.predict_log.request)
    elif kind == "classify_log":
        inference.classify(servable, log.classify_log.request)
    elif kind == "regress_log":
        inference.regress(servable, log.regress_log.request)
    elif kind == "multi_inference_log":
        inference.multi_inference(servable, log.multi_inference_log.request)
    else:
        raise ModelError(f"A warm-up record must be of a supported type. Received: {kind}.")
