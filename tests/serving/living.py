"""A server process whose versions change, what it says, and callers that never stop asking."""

import os
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
from calls import Stubs, predict, spec, status
from grpc_health.v1 import health_pb2, health_pb2_grpc

SECONDS = 300


class Asked:
    """A server that questions are put to.

    Args:
        address: Where it listens.
    """

    def __init__(self, address):
        self.address = address
        self.stubs = Stubs(address)
        self.said = []

    def states(self, name, version=None):
        """Return version to state and error text, as GetModelStatus tells them."""
        found = self.stubs.call("GetModelStatus", status(spec(name, version))).model_version_status
        return {one.version: (one.state, one.status.error_message) for one in found}

    def until(self, condition):
        """Wait until a condition holds."""
        until = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < until, "".join(self.said)
            time.sleep(0.05)

    def health(self):
        """Return what the health service says."""
        check = health_pb2.HealthCheckRequest()
        return health_pb2_grpc.HealthStub(self.stubs.channel).Check(check, timeout=SECONDS).status

    def offset(self, **choice):
        """Return which of the `Halves` answers."""
        return float(self.stubs.run(spec("m", **choice), {"x": np.float32([0])})["y"][0])


class Living(Asked):
    """A running `skinzoo serve`.

    Args:
        process: The process.
        lines: A queue of what it says.
    """

    def __init__(self, process, lines):
        self.process = process
        self._lines = lines
        self.said = []
        found = re.match(r"Ready: gRPC on (127\.0\.0\.1:\d+)", self.wait_for("Ready: gRPC on "))
        said = self.said
        super().__init__(found[1])
        self.said = said

    def wait_for(self, phrase):
        """Return the next line with a phrase."""
        until = time.monotonic() + SECONDS
        while True:
            line = self._lines.get(timeout=max(0.1, until - time.monotonic()))
            assert line is not None, "".join(self.said)
            self.said.append(line)
            if phrase in line:
                return line

    def sizes(self):
        """Return the process's threads, and its resident memory in MiB."""
        with Path(f"/proc/{self.process.pid}/status").open() as stream:
            facts = dict(line.split(":", 1) for line in stream)
        return int(facts["Threads"]), int(facts["VmRSS"].split()[0]) / 1024


@contextmanager
def living(*arguments, home, port=0):
    """Start a server."""
    process = subprocess.Popen(
        [sys.executable, "-m", "skinzoo", "serve", *map(str, arguments), f"--port={port}"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SKINZOO_HOME": str(home)},
    )
    lines = queue.Queue()

    def read():
        for line in process.stderr:
            lines.put(line)
        lines.put(None)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield Living(process, lines)
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def drop(saved, base, version):
    """Put a version into a base as exports are: under another name, then renamed."""
    shutil.copytree(saved, base / f"copy-{version}")
    (base / f"copy-{version}").rename(base / str(version))


@contextmanager
def callers(address, number, model, inputs):
    """Ask without a pause from several threads.

    Yields:
        The versions that answered, and the failures; both grow meanwhile.
    """
    versions, failures, stop = [], [], threading.Event()

    def ask():
        stubs = Stubs(address)
        while not stop.wait(0.005):
            try:
                answer = stubs.call("Predict", predict(model, inputs))
                versions.append(answer.model_spec.version.value)
            except grpc.RpcError as error:
                failures.append((error.code(), error.details()))
        stubs.channel.close()

    threads = [threading.Thread(target=ask) for _ in range(number)]
    for thread in threads:
        thread.start()
    try:
        yield versions, failures
    finally:
        stop.set()
        for thread in threads:
            thread.join()
