"""Ray Serve: python ray_app.py EXPORT PORT."""

from __future__ import annotations

import os
import sys
import time

import ray
from model import BATCH, WAIT_SECONDS, Model
from ray import serve
from starlette.requests import Request

# Ray gives a replica's libraries as many threads as it counts cores for it; the others have all of them.
CORES = os.cpu_count() or 1


@serve.deployment(num_replicas=1, max_ongoing_requests=256, ray_actor_options={"num_cpus": CORES})
class Classifier:
    """One replica that runs batches."""

    def __init__(self, folder: str) -> None:
        self._model = Model(folder)

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=WAIT_SECONDS)
    async def classify(self, images: list[bytes]) -> list[list[float]]:
        """Classify a batch."""
        return self._model.classify(images)

    async def __call__(self, request: Request) -> list[float]:
        """Classify the image that is the body."""
        return await self.classify(await request.body())


if __name__ == "__main__":
    folder, port = sys.argv[1:]
    ray.init(include_dashboard=False, num_cpus=CORES, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(port)})
    serve.run(Classifier.bind(folder), route_prefix="/classify")
    while True:
        time.sleep(60)
