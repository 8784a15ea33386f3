"""Readers of files and bodies under atheris, which looks for inputs that reach new lines of code.

python tests/serving/guided_fuzzing.py -atheris_runs=10000
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["skinzoo.serving", "skinzoo.data.images", "google.protobuf"]):
    from skinzoo.data.images import inspect_bytes
    from skinzoo.serving.batching import read_batching
    from skinzoo.serving.config import read_config
    from skinzoo.serving.rest import documents, paths
    from skinzoo.serving.tls import read_ssl_config
    from skinzoo.serving.tokens import read_tokens

from skinzoo.errors import SkinzooError
from skinzoo.serving.status import RpcError

FILE = Path(tempfile.mkdtemp()) / "fuzzed"


def from_file(read):
    def run(data):
        FILE.write_bytes(data)
        read(FILE)

    return run


READERS = [
    from_file(read_config),
    from_file(read_batching),
    from_file(read_ssl_config),
    from_file(read_tokens),
    inspect_bytes,
    documents.parse,
    lambda data: paths.parse("POST", data.decode("latin-1")),
    lambda data: paths.parse("GET", data.decode("latin-1")),
]


def one(data):
    """Give an input to the reader that its first byte chooses; only the project's own errors may come."""
    if data:
        with contextlib.suppress(SkinzooError, RpcError):
            READERS[data[0] % len(READERS)](data[1:])


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
