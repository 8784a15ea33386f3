"""`skinzoo serve` as a process of its own."""

import os
import re
import subprocess
import sys
from contextlib import contextmanager


@contextmanager
def serving(*arguments, home):
    """Start a server on a free port.

    Yields:
        The process, its address, and the lines that it said until it was ready.
    """
    server = subprocess.Popen(
        [sys.executable, "-m", "skinzoo", "serve", *map(str, arguments), "--port=0"],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SKINZOO_HOME": str(home)},
    )
    try:
        said = []
        for line in server.stderr:
            said.append(line)
            if found := re.match(r"Ready: gRPC on (127\.0\.0\.1:\d+)", line):
                break
        else:
            raise AssertionError("".join(said))
        yield server, found[1], said
    finally:
        server.kill()
        server.wait()
        server.stderr.close()
