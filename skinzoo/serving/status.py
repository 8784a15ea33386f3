"""What a failed request is answered with: a status code and a text."""

from __future__ import annotations

import re
from typing import Any

import grpc

# gRPC puts the text into a header; TensorFlow Serving cuts it there too.
MAXIMUM_TEXT = 1024
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class RpcError(Exception):
    """A request that is answered with a status instead of a response.

    Args:
        code: The gRPC status code.
        message: Why, at most 1,024 characters of it are kept.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        text = message[:MAXIMUM_TEXT]
        super().__init__(text)
        self.code = code
        self.message = text

    @property
    def number(self) -> int:
        """Return the code as the number that goes over the wire."""
        return int(self.code.value[0])


# Lines with which TensorFlow says where in the code of the server something failed.
_WHERE = ("Graph execution error", "Detected at node", "  File ", "<stack traces unavailable>")


def from_tensorflow(error: Any) -> RpcError:
    """Return the error for a `tf.errors.OpError`: its code, and its text without stack traces and nodes."""
    lines = error.message.split("\n\t [[", 1)[0].split("\n")
    headers = [i for i, line in enumerate(lines) if not line or line.startswith(_WHERE)]
    text = "\n".join(lines[headers[-1] + 1 :] if headers else lines).strip()
    return from_number(error.error_code, re.sub(r"^\{\{function_node [^}]*\}\} ", "", text or lines[0]))


def from_number(number: int, message: str) -> RpcError:
    """Return the error for a numeric code, such as that of a `tf.errors.OpError`."""
    return RpcError(_CODES.get(number, grpc.StatusCode.UNKNOWN), message)


def invalid_argument(message: str) -> RpcError:
    """Return an INVALID_ARGUMENT."""
    return RpcError(grpc.StatusCode.INVALID_ARGUMENT, message)


def not_found(message: str) -> RpcError:
    """Return a NOT_FOUND."""
    return RpcError(grpc.StatusCode.NOT_FOUND, message)


def failed_precondition(message: str) -> RpcError:
    """Return a FAILED_PRECONDITION."""
    return RpcError(grpc.StatusCode.FAILED_PRECONDITION, message)


def unavailable(message: str) -> RpcError:
    """Return an UNAVAILABLE."""
    return RpcError(grpc.StatusCode.UNAVAILABLE, message)
