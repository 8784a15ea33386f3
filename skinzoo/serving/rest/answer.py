"""A request of REST answered, apart from HTTP."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass

import grpc

from skinzoo.serving.models import Models
from skinzoo.serving.rest.errors import Failure, failure
from skinzoo.serving.rest.paths import Target, parse
from skinzoo.serving.status import RpcError

_LOG = logging.getLogger(__name__)
_JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Args:
        body: The body.
        status: Status code of HTTP.
        media_type: What the body is.
    """

    body: bytes
    status: int = 200
    media_type: str = _JSON

    @classmethod
    def of_error(cls, error: Failure) -> Answer:
        """Return the answer to a request that failed."""
        return cls(json.dumps({"error": error.message}).encode(), error.status)


def answer(models: Models, method: str, path: str, body: bytes, *, timeout: float) -> Answer:
    """Answer a request.

    Args:
        models: What is served.
        method: Method of HTTP.
        path: The path without the query, percent signs as they came.
        body: The body.
        timeout: Seconds that it may take.
    """
    try:
        return Answer(_answer(models, parse(method, path), body, timeout))
    except RpcError as error:
        return Answer.of_error(failure(error))
    except Exception as error:
        _LOG.exception("A request failed unexpectedly")
        return Answer.of_error(failure(RpcError(grpc.StatusCode.INTERNAL, type(error).__name__)))


def _answer(models: Models, target: Target, body: bytes, timeout: float) -> bytes:
    raise RpcError(grpc.StatusCode.UNIMPLEMENTED, f"{target.api} is not there yet")
