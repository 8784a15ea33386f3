"""From statuses of gRPC to those of HTTP, as TensorFlow Serving maps them."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from skinzoo.serving.status import RpcError

_Code = grpc.StatusCode
HTTP_STATUS = {
    _Code.OK: 200,
    _Code.CANCELLED: 499,
    _Code.UNKNOWN: 500,
    _Code.INVALID_ARGUMENT: 400,
    _Code.DEADLINE_EXCEEDED: 504,
    _Code.NOT_FOUND: 404,
    _Code.ALREADY_EXISTS: 409,
    _Code.PERMISSION_DENIED: 403,
    _Code.RESOURCE_EXHAUSTED: 429,
    _Code.FAILED_PRECONDITION: 400,
    _Code.ABORTED: 409,
    _Code.OUT_OF_RANGE: 400,
    _Code.UNIMPLEMENTED: 501,
    _Code.INTERNAL: 500,
    _Code.UNAVAILABLE: 503,
    _Code.DATA_LOSS: 500,
    _Code.UNAUTHENTICATED: 401,
}


@dataclass(frozen=True)
class Failure:
    """A request that failed.

    Args:
        status: Status code of HTTP.
        message: Why.
    """

    status: int
    message: str


def failure(error: RpcError) -> Failure:
    """Return what a client of REST is told of an error."""
    return Failure(HTTP_STATUS[error.code], error.message)
