"""What a client asks and what the answers mean, apart from how requests travel.

Conversations are generators that yield a `Call`, are sent its response (or thrown the `CallError` that it
ended with) and return a result; so the client that blocks and the one that does not share them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc

from skinzoo.client.cases import Explanation, ReadyCase, Result
from skinzoo.client.failures import CallError
from skinzoo.client.model import Model
from skinzoo.client.options import AUTO, TYPED, ClientOptions, Selector

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One request.

    Args:
        method: Full name of the method, `/package.Service/Method`.
        request: Protobuf message.
        response: Class of the response.
    """

    method: str
    request: Any
    response: Any


Conversation: TypeAlias = Generator[Call, Any, T]


class Api(ABC):
    """One of the services that a server may have.

    Args:
        selector: Which model answers.
    """

    def __init__(self, selector: Selector) -> None:
        self.selector = selector

    @abstractmethod
    def describe(self) -> Conversation[Model]:
        """Ask which model there is and what it takes."""

    @abstractmethod
    def request(self, cases: Sequence[ReadyCase]) -> Call:
        """Return the request that classifies cases."""

    @abstractmethod
    def results(self, response: Any, cases: Sequence[ReadyCase]) -> list[Result]:
        """Return what a response says about the cases of its request."""

    @abstractmethod
    def explain(self, case: ReadyCase) -> Conversation[Explanation]:
        """Ask where the model looks."""


def connect(server: str, selector: Selector, options: ClientOptions) -> Conversation[tuple[Api, Model]]:
    """Find out which service a server has and which model is behind it.

    Raises:
        ServingError: It has none, or does not answer.
        UsageError: The service needs a model's name and there is none.
    """
    from skinzoo.client.failures import not_a_server
    from skinzoo.client.typed import TypedApi

    if options.api in (AUTO, TYPED):
        typed = TypedApi(selector)
        try:
            model = yield from typed.describe()
            return typed, model
        except CallError as error:
            absent = error.code is grpc.StatusCode.UNIMPLEMENTED
            # Without a card the typed service has nothing to say; Predict still works.
            elsewhere = absent or (error.code is grpc.StatusCode.FAILED_PRECONDITION and selector.name)
            if options.api == TYPED or not elsewhere:
                raise not_a_server(server) if absent else error from error
    from skinzoo.client.tensorflow_serving import TensorFlowApi

    api = TensorFlowApi(selector, options.signature)
    try:
        model = yield from api.describe()
    except CallError as error:
        if error.code is grpc.StatusCode.UNIMPLEMENTED:
            raise not_a_server(server) from error
        raise
    return api, model


def classify(api: Api, cases: Sequence[ReadyCase]) -> Conversation[list[Result]]:
    """Classify cases; where a request fails because of one, halves go on their own until it is alone.

    Raises:
        CallError: The request failed for a reason that no case has.
    """
    if not cases:
        return []
    try:
        response = yield api.request(cases)
    except CallError as error:
        if not error.cases_at_fault:
            raise
        if len(cases) == 1:
            return [Result(error=error.details or error.message).of(cases[0])]
        middle = len(cases) // 2
        first = yield from classify(api, cases[:middle])
        return first + (yield from classify(api, cases[middle:]))
    return [result.of(case) for result, case in zip(api.results(response, cases), cases, strict=True)]
