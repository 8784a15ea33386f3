"""LitServe: python lit_server.py EXPORT PORT."""

from __future__ import annotations

import base64
import sys

import litserve
from model import BATCH, WAIT_SECONDS, Model


class Classifier(litserve.LitAPI):
    """One worker that runs batches."""

    def __init__(self, folder: str) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=WAIT_SECONDS, api_path="/classify")
        self._folder = folder

    def setup(self, device: str) -> None:
        """Load."""
        self._model = Model(self._folder)

    def decode_request(self, request):  # An annotation would keep LitServe from reading JSON.
        """Return the image: of the protocol of `serve_compare.py`'s JSON, since it takes no other body."""
        return base64.b64decode(request["image"])

    def predict(self, images: list[bytes]) -> list[list[float]]:
        """Classify a batch."""
        return self._model.classify(images)

    def unbatch(self, output: list[list[float]]) -> list[list[float]]:
        """Return the answers one by one."""
        return output

    def encode_response(self, output: list[float]) -> list[float]:
        """Return an answer as JSON."""
        return output


if __name__ == "__main__":
    folder, port = sys.argv[1:]
    server = litserve.LitServer(Classifier(folder), accelerator="cpu", workers_per_device=1, timeout=300)
    server.run(port=int(port), host="127.0.0.1", generate_client_file=False, log_level="warning")
