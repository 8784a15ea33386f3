"""Requests of REST over real sockets, made with Python's own HTTP client."""

import http.client
import json

SECONDS = 120


class Rest:
    """The REST interface of a server."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._where = host.strip("[]"), int(port)

    def raw(self, method, path, body=None, headers=()):
        """Return status, headers and body of an answer."""
        connection = http.client.HTTPConnection(*self._where, timeout=SECONDS)
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def get(self, path):
        """Return what a GET answers with 200."""
        return self._good(self.raw("GET", path))

    def post(self, path, body):
        """Return what a POST answers with 200."""
        return self._good(self.raw("POST", path, json.dumps(body)))

    def failure(self, method, path, body=None):
        """Return status and text of a request that must fail."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body)
        status, headers, content = self.raw(method, path, sent)
        assert status != 200, content
        assert headers["content-type"] == "application/json"
        found = json.loads(content)
        assert found.keys() == {"error"}
        return status, found["error"]

    @staticmethod
    def _good(answer):
        status, headers, content = answer
        assert status == 200, content
        assert headers["content-type"] == "application/json"
        return json.loads(content)
