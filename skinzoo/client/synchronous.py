"""The client that blocks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

import grpc

from skinzoo.client.api import Call, Conversation, classify, connect
from skinzoo.client.batches import Batch, batches
from skinzoo.client.cases import Case, Explanation, ReadyCase, Result, ready
from skinzoo.client.failures import Outage, Retry, call_error, code_of
from skinzoo.client.options import (
    CHANNEL_OPTIONS,
    ClientOptions,
    Selector,
    checked_address,
    metadata_of,
)
from skinzoo.client.typed import STREAM_METHOD, StreamFeed, TypedApi
from skinzoo.errors import DataError
from skinzoo.ordered import in_order
from skinzoo.v1 import lesion_classifier_pb2 as pb

T = TypeVar("T")


class Client:
    """A connection to a server; use it in a `with` statement, from one thread or several.

    Args:
        server: `HOST:PORT`.
        model: Name of the model; may be empty where a server of the typed service has exactly one.
        version: Its version; the newest one unless given.
        label: A version's label instead of its number.
        credentials: TLS credentials; none for a plain connection.
        token: Bearer token that goes with every request; empty for none.
        options: How to work.
        notify: Called with a sentence when the server is away and tried again; from any thread.

    Raises:
        ServingError: There is no such server or model.
        UsageError: An argument cannot be honoured.
    """

    def __init__(
        self,
        server: str,
        *,
        model: str = "",
        version: int | None = None,
        label: str = "",
        credentials: grpc.ChannelCredentials | None = None,
        token: str = "",
        options: ClientOptions | None = None,
        notify: Callable[[str], None] | None = None,
    ) -> None:
        self.server = checked_address(server)
        self.options = options or ClientOptions()
        self._outage = Outage(notify)
        self._metadata = metadata_of(token, self.server, encrypted=credentials is not None, notify=notify)
        self._closing = threading.Event()
        self._channel = (
            grpc.secure_channel(self.server, credentials, options=CHANNEL_OPTIONS)
            if credentials
            else grpc.insecure_channel(self.server, options=CHANNEL_OPTIONS)
        )
        selector = Selector(name=model, version=version, label=label)
        try:
            self._api, self.model = self._converse(
                connect(self.server, selector, self.options), retry_seconds=self.options.wait
            )
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection and whatever is under way."""
        self._closing.set()
        self._channel.close()

    @property
    def typed(self) -> bool:
        """Whether it talks to the typed service."""
        return isinstance(self._api, TypedApi)

    def pin(self) -> None:
        """Let the version that `model` describes answer from now on, whatever is loaded later."""
        self._api.selector = Selector(name=self.model.name, version=self.model.version or None)

    def classify(self, cases: Iterable[Case]) -> list[Result]:
        """Return one result for each case, in order; see `classify_many`."""
        return list(self.classify_many(cases))

    def classify_many(self, cases: Iterable[Case]) -> Generator[Result, None, None]:
        """Classify any number of cases in batches, several under way at a time.

        Args:
            cases: The cases, taken as they are needed.

        Yields:
            One result for each case, in order. A case that cannot be used has an error in its result.

        Raises:
            ServingError: A request failed for a reason that no case has.
        """
        todo = batches(map(self._ready, cases), self.options.batch, self.options.batch_bytes)
        for results in in_order(todo, self._classified, self.options.in_flight):
            yield from results

    def stream(self, cases: Iterable[Case]) -> Generator[Result, None, None]:
        """Classify cases one at a time as they come, over one call where the server has the typed service.

        Such a call ends with the server and is not tried again.

        Args:
            cases: The cases; each is sent when the iterable gives it.

        Yields:
            One result for each case, in order.

        Raises:
            ServingError: The call failed.
        """
        if not isinstance(self._api, TypedApi):
            todo = batches(map(self._ready, cases), 1, self.options.batch_bytes)
            for results in in_order(todo, self._classified, self.options.in_flight):
                yield from results
            return
        feed = StreamFeed(self._api, cases, self._ready)
        call = self._channel.stream_stream(
            STREAM_METHOD,
            request_serializer=pb.ClassifyStreamRequest.SerializeToString,
            response_deserializer=pb.ClassifyStreamResponse.FromString,
        )(feed.requests(), metadata=self._metadata)
        try:
            for response in call:
                yield feed.result(response)
        except grpc.RpcError as error:
            if feed.failure is not None:
                raise feed.failure from error
            raise call_error(error, self.server, timeout=self.options.timeout) from error
        finally:
            call.cancel()

    def explain(self, case: Case) -> Explanation:
        """Return where the model looks at a case.

        Raises:
            DataError: The case cannot be used.
            ServingError: The model has no attention map, or the request failed.
        """
        checked = ready(case, self.model, any_term=self.options.any_term)
        return self._converse(self._api.explain(checked))

    def _ready(self, case: Case) -> ReadyCase | Result:
        try:
            return ready(case, self.model, any_term=self.options.any_term)
        except DataError as error:
            return Result(error=error.message).of(case)

    def _classified(self, batch: Batch) -> list[Result]:
        return batch.merged(self._converse(classify(self._api, batch.cases)))

    def _converse(self, conversation: Conversation[T], *, retry_seconds: float | None = None) -> T:
        seconds = self.options.retry_seconds if retry_seconds is None else retry_seconds
        try:
            call = next(conversation)
            while True:
                try:
                    response = self._call(call, Retry(seconds, notify=self._outage.began))
                except grpc.RpcError as error:
                    failure = call_error(error, self.server, timeout=self.options.timeout)
                    call = conversation.throw(failure)
                else:
                    call = conversation.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    def _call(self, call: Call, retry: Retry) -> Any:
        method = self._channel.unary_unary(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        while True:
            try:
                answer = method(call.request, timeout=self.options.timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                pause = retry.pause(code_of(error))
                if pause is None or self._closing.wait(pause):
                    raise
            else:
                self._outage.over()
                return answer
