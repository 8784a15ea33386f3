"""The door of REST, over real sockets: tokens, sizes, and how much at a time."""

import contextlib
import json
import socket
import time

import pytest

pytest.importorskip("starlette", reason="skinzoo[rest] is not installed")
pytest.importorskip("uvicorn", reason="skinzoo[rest] is not installed")

from skinzoo.serving.models import Models
from skinzoo.serving.protection import Protection
from skinzoo.serving.rest.options import RestOptions
from skinzoo.serving.rest.server import RestServer
from skinzoo.serving.tokens import Tokens

TOKEN = "0123456789abcdef-for-tests"
PATH = "/v1/models/absent:predict"


@pytest.fixture
def started():
    servers = []

    def start(threads=4, timeout=20.0, **protection):
        options = RestOptions(port=0, threads=threads, timeout=timeout, protection=Protection(**protection))
        server = RestServer(Models(), "127.0.0.1", options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop(1)
        server.wait()


def connect(server, *headers, body=b""):
    """Send a request, or the beginning of one, and return its connection."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=60)
    lines = [f"POST {PATH} HTTP/1.1", "Host: here", "Connection: close", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)
    return connection


def answer(connection):
    """Return status, headers and error of what comes back."""
    received = b""
    with connection, contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode().lower(), json.loads(body)["error"]


def ask(server, *headers, body=b'{"instances": [1]}'):
    return answer(connect(server, f"Content-Length: {len(body)}", *headers, body=body))


def test_tokens(started):
    server = started(tokens=Tokens([TOKEN]))
    status, head, error = ask(server)
    assert (status, "www-authenticate: bearer" in head, "token" in error) == (401, True, True)
    assert ask(server, "Authorization: Bearer wrong-token-0123456")[0] == 401
    # Let in, it learns that there is no such model.
    assert ask(server, f"Authorization: Bearer {TOKEN}")[0] == 404


def test_bodies_that_are_too_large_are_not_read(started):
    server = started(message_bytes=1000)
    assert ask(server)[0] == 404
    status, _, error = answer(connect(server, "Content-Length: 1001"))
    assert (status, "at most 1,000 bytes" in error) == (429, True)
    chunk = b"190\r\n" + b" " * 400 + b"\r\n"
    assert answer(connect(server, "Transfer-Encoding: chunked", body=chunk * 3))[0] == 429


def test_a_body_that_never_comes_is_given_up(started):
    server = started(timeout=1.0)
    begin = time.monotonic()
    assert answer(connect(server, "Content-Length: 10", body=b"{"))[0] == 504
    assert time.monotonic() - begin < 30


def test_a_full_queue_and_a_client_with_too_much_under_way(started):
    full, greedy = started(threads=1, waiting=1), started(per_client=2)
    for server, status in ((full, 503), (greedy, 429)):
        waiting = [connect(server, "Content-Length: 10", body=b"{") for _ in range(2)]
        end = time.monotonic() + 30
        while (found := ask(server))[0] != status:
            assert time.monotonic() < end, found
        assert "retry-after: 1" in found[1]
        for connection in waiting:
            connection.close()
        while (found := ask(server))[0] != 404:
            assert time.monotonic() < end, found
