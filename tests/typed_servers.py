"""Real servers of the typed service over a real export, in this process, on real sockets."""

import base64
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from skinzoo.client import Case
from skinzoo.serving.models import Models
from skinzoo.serving.servable import Servable
from skinzoo.serving.typed import add_typed_service


class Golden:
    """The golden cases of an export and the probabilities that the run gives them."""

    def __init__(self, path):
        found = json.loads((path / "assets.extra" / "skinzoo_golden.json").read_text())
        self.classes = tuple(found["classes"])
        self.probabilities = found["probabilities"]
        self.cases = [
            Case(
                id=one["id"],
                image=base64.b64decode(one["image"]),
                age=one["age"],
                sex=one["sex"],
                localization=one["localization"],
            )
            for one in found["cases"]
        ]

    def check(self, results):
        """Fail unless the results are those of the cases, in their order."""
        assert [one.error for one in results] == [""] * len(self.cases)
        assert [one.id for one in results] == [one.id for one in self.cases]
        for result, expected in zip(results, self.probabilities, strict=True):
            assert max(abs(a - b) for a, b in zip(result.probabilities, expected, strict=True)) < 1e-5


class Server:
    """A server that can be stopped and started again on its port."""

    def __init__(self, models, *, limits=None):
        self.models = models
        self._limits = limits
        self.port = 0
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        # Without reuse of ports a second server on the port is an error rather than a race.
        options = [("grpc.max_receive_message_length", -1), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(ThreadPoolExecutor(8), options=options)
        add_typed_service(self._server, self.models, limits=self._limits)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self, grace=None):
        self._server.stop(grace).wait()


class WatchedServable(Servable):
    """A version that counts its runs and can be made to wait, or to answer out of order."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.runs = 0
        self.under_way = self.most_under_way = 0
        self.before = lambda number: None
        self._lock = threading.Lock()

    def run(self, signature, inputs, **options):
        with self._lock:
            number, self.runs = self.runs, self.runs + 1
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            self.before(number)
            return super().run(signature, inputs, **options)
        finally:
            with self._lock:
                self.under_way -= 1


def models_of(*servables, **options):
    return Models(list(servables), **options)
