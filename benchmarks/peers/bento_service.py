"""BentoML: python bento_service.py EXPORT PORT."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import bentoml
from model import BATCH, Model

EXPORT = "SKINZOO_BENCH_EXPORT"


@bentoml.service(
    workers=1,
    traffic={"timeout": 300, "max_concurrency": 256},
    # None of the others writes a line for every request either.
    logging={"access": {"enabled": False}},
)
class Classifier:
    """One worker that runs batches; how long one waits for more is learnt from how long they take."""

    def __init__(self) -> None:
        self._model = Model(os.environ[EXPORT])

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=60_000, route="/classify")
    def classify(self, images: list[str]) -> list[list[float]]:
        """Classify a batch, to which every request brings the list with its image."""
        return self._model.classify([base64.b64decode(image) for image in images])


if __name__ == "__main__":
    folder, port = sys.argv[1:]
    os.environ[EXPORT] = folder
    os.chdir(Path(__file__).resolve().parent)
    os.execv(
        sys.executable,
        [sys.executable, "-m", "bentoml", "serve", "bento_service:Classifier", "--port", port],
    )
