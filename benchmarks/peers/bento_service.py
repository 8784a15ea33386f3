"""BentoML: python bento_service.py EXPORT PORT."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import bentoml
from model import BATCH, Model

EXPORT = "SKINZOO_BENCH_EXPORT"


@bentoml.service(workers=1, traffic={"timeout": 300, "max_concurrency": 256})
class Network:
    """Runs batches."""

    def __init__(self) -> None:
        self._model = Model(os.environ[EXPORT])

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=60_000)
    def classify_batch(self, images: list[bytes]) -> list[list[float]]:
        """Classify a batch."""
        return self._model.classify(images)


@bentoml.service(workers=1, traffic={"timeout": 300, "max_concurrency": 256})
class Classifier:
    """Takes requests."""

    network = bentoml.depends(Network)

    @bentoml.api(route="/classify")
    async def classify(self, image: Path, /) -> list[float]:
        """Classify an image, which is the body."""
        found = await self.network.to_async.classify_batch([image.read_bytes()])
        return found[0]


if __name__ == "__main__":
    folder, port = sys.argv[1:]
    os.environ[EXPORT] = folder
    here = Path(__file__).resolve().parent
    os.chdir(here)
    os.execv(
        sys.executable,
        [sys.executable, "-m", "bentoml", "serve", "bento_service:Classifier", "--port", port],
    )
