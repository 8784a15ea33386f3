"""A request of REST answered, apart from HTTP."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import Any

import grpc
from tensorflow_serving.apis import classification_pb2, model_pb2, regression_pb2

from skinzoo.serving import inference
from skinzoo.serving.faults import log_unexpected
from skinzoo.serving.model_status import model_status
from skinzoo.serving.models import Models
from skinzoo.serving.rest.documents import parse as parse_document
from skinzoo.serving.rest.documents import signature_of
from skinzoo.serving.rest.errors import HTTP_STATUS
from skinzoo.serving.rest.paths import Target, parse
from skinzoo.serving.rest.to_examples import read_examples
from skinzoo.serving.rest.to_json import (
    of_classifications,
    of_metadata,
    of_outputs,
    of_regressions,
    of_status,
)
from skinzoo.serving.rest.to_tensors import read_inputs
from skinzoo.serving.servable import Servable
from skinzoo.serving.signatures import DEFAULT_SIGNATURE, find
from skinzoo.serving.status import RpcError, invalid_argument

_LOG = logging.getLogger(__name__)
_JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """What is sent back.

    Args:
        body: The body.
        code: How it ended.
        media_type: What the body is.
    """

    body: bytes
    code: grpc.StatusCode = grpc.StatusCode.OK
    media_type: str = _JSON

    @property
    def status(self) -> int:
        """Return the status code of HTTP."""
        return HTTP_STATUS[self.code]

    @classmethod
    def of_error(cls, error: RpcError) -> Answer:
        """Return the answer to a request that failed."""
        return cls(json.dumps({"error": error.message}).encode(), error.code)


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
        return Answer.of_error(error)
    except RecursionError:
        return Answer.of_error(invalid_argument("JSON Parse error: lists in too many lists"))
    except Exception as error:
        log_unexpected(_LOG, error)
        return Answer.of_error(RpcError(grpc.StatusCode.INTERNAL, type(error).__name__))


def _answer(models: Models, target: Target, body: bytes, timeout: float) -> bytes:
    if target.api == "status":
        return of_status(model_status(models, target.name, target.version))
    if target.api == "metadata":
        with models.use(target.name, **target.choice) as servable:
            return of_metadata(inference.metadata(servable))
    document = parse_document(body)
    signature = signature_of(document)
    if target.api == "predict":
        with models.use(target.name, **target.choice) as servable:
            return _predict(servable, signature, document, timeout)
    given = read_examples(document)
    with models.use(target.name, **target.choice) as servable:
        spec = model_pb2.ModelSpec(name=target.name, signature_name=signature)
        if target.api == "classify":
            question = classification_pb2.ClassificationRequest(model_spec=spec, input=given)
            return of_classifications(inference.classify(servable, question, timeout=timeout).result)
        request = regression_pb2.RegressionRequest(model_spec=spec, input=given)
        return of_regressions(inference.regress(servable, request, timeout=timeout).result)


def _predict(servable: Servable, signature: str, document: dict[str, Any], timeout: float) -> bytes:
    try:
        name, definition = find(servable.signatures, signature)
    except RpcError as error:
        # Through REST this is an error of the request.
        raise invalid_argument(
            f'Serving signature name: "{signature or DEFAULT_SIGNATURE}" not found in signature def'
        ) from error
    inputs, layout = read_inputs(document, definition)
    return of_outputs(servable.run(name, inputs, timeout=timeout), layout)
