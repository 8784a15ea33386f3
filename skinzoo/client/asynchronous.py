"""The client for asyncio."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

import grpc

from skinzoo.client.api import Api, Call, Conversation, classify, connect
from skinzoo.client.batches import Batch, Batcher
from skinzoo.client.cases import Case, Explanation, ReadyCase, Result, ready
from skinzoo.client.failures import Outage, Retry, call_error, code_of
from skinzoo.client.model import Model
from skinzoo.client.options import (
    CHANNEL_OPTIONS,
    ClientOptions,
    Selector,
    checked_address,
    metadata_of,
)
from skinzoo.client.typed import STREAM_METHOD, StreamFeed, TypedApi
from skinzoo.errors import DataError
from skinzoo.v1 import lesion_classifier_pb2 as pb

T = TypeVar("T")


class AsyncClient:
    """A connection to a server: `async with AsyncClient("localhost:8500") as client: ...`.

    Arguments and errors are those of `Client`; the errors of connecting come from `async with`.
    """

    model: Model
    """The model behind the server; known once connected."""

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
        self._credentials = credentials
        self._outage = Outage(notify)
        self._metadata = metadata_of(token, self.server, encrypted=credentials is not None, notify=notify)
        self._selector = Selector(name=model, version=version, label=label)
        self._channel: Any = None
        self._api: Api

    async def __aenter__(self) -> AsyncClient:
        self._channel = (
            grpc.aio.secure_channel(self.server, self._credentials, options=CHANNEL_OPTIONS)
            if self._credentials
            else grpc.aio.insecure_channel(self.server, options=CHANNEL_OPTIONS)
        )
        try:
            self._api, self.model = await self._converse(
                connect(self.server, self._selector, self.options), retry_seconds=self.options.wait
            )
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the connection and whatever is under way."""
        if self._channel is not None:
            await self._channel.close()

    @property
    def typed(self) -> bool:
        """Whether it talks to the typed service."""
        return isinstance(self._api, TypedApi)

    async def classify(self, cases: Iterable[Case] | AsyncIterable[Case]) -> list[Result]:
        """Return one result for each case, in order; see `Client.classify`."""
        return [result async for result in self.classify_many(cases)]

    async def classify_many(self, cases: Iterable[Case] | AsyncIterable[Case]) -> AsyncIterator[Result]:
        """Classify any number of cases in batches; see `Client.classify_many`."""
        async for result in self._in_order(cases, self.options.batch):
            yield result

    async def stream(self, cases: Iterable[Case] | AsyncIterable[Case]) -> AsyncIterator[Result]:
        """Classify cases one at a time as they come; see `Client.stream`."""
        if not isinstance(self._api, TypedApi):
            async for result in self._in_order(cases, 1):
                yield result
            return
        feed = StreamFeed(self._api, (), self._ready)

        async def requests() -> AsyncIterator[Any]:
            try:
                async for case in _each(cases):
                    yield await asyncio.to_thread(feed.request, case)
            except Exception as error:
                feed.failure = error
                raise

        call = self._channel.stream_stream(
            STREAM_METHOD,
            request_serializer=pb.ClassifyStreamRequest.SerializeToString,
            response_deserializer=pb.ClassifyStreamResponse.FromString,
        )(requests(), metadata=self._metadata)
        try:
            async for response in call:
                yield feed.result(response)
        except (grpc.RpcError, asyncio.CancelledError) as error:
            # gRPC cancels the call, and so this task's wait, where the requests fail.
            if feed.failure is not None:
                raise feed.failure from error
            if isinstance(error, asyncio.CancelledError):
                raise
            raise call_error(error, self.server, timeout=self.options.timeout) from error
        finally:
            call.cancel()

    async def explain(self, case: Case) -> Explanation:
        """Return where the model looks at a case; see `Client.explain`."""
        checked = await asyncio.to_thread(ready, case, self.model, any_term=self.options.any_term)
        return await self._converse(self._api.explain(checked))

    def _ready(self, case: Case) -> ReadyCase | Result:
        try:
            return ready(case, self.model, any_term=self.options.any_term)
        except DataError as error:
            return Result(error=error.message).of(case)

    async def _in_order(
        self, cases: Iterable[Case] | AsyncIterable[Case], count: int
    ) -> AsyncIterator[Result]:
        waiting: asyncio.Queue[asyncio.Future[list[Result]] | None] = asyncio.Queue(self.options.in_flight)
        free = asyncio.Semaphore(self.options.in_flight)
        tasks: set[asyncio.Future[list[Result]]] = set()

        async def work(batch: Batch) -> list[Result]:
            async with free:
                return batch.merged(await self._converse(classify(self._api, batch.cases)))

        async def send(found: list[Batch]) -> None:
            for batch in found:
                task = asyncio.create_task(work(batch))
                tasks.add(task)
                await waiting.put(task)

        async def feed() -> None:
            batcher = Batcher(count, self.options.batch_bytes)
            try:
                async for case in _each(cases):
                    await send(batcher.add(await asyncio.to_thread(self._ready, case)))
                await send(batcher.rest())
            except Exception as error:
                failed: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
                failed.set_exception(error)
                await waiting.put(failed)
            await waiting.put(None)

        feeding = asyncio.create_task(feed())
        try:
            while (task := await waiting.get()) is not None:
                for result in await task:
                    yield result
                tasks.discard(task)
        finally:
            feeding.cancel()
            for one in tasks:
                one.cancel()
            await asyncio.gather(feeding, *tasks, return_exceptions=True)

    async def _converse(self, conversation: Conversation[T], *, retry_seconds: float | None = None) -> T:
        seconds = self.options.retry_seconds if retry_seconds is None else retry_seconds
        try:
            call = next(conversation)
            while True:
                try:
                    response = await self._call(call, Retry(seconds, notify=self._outage.began))
                except grpc.RpcError as error:
                    failure = call_error(error, self.server, timeout=self.options.timeout)
                    call = conversation.throw(failure)
                else:
                    call = conversation.send(response)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _call(self, call: Call, retry: Retry) -> Any:
        method = self._channel.unary_unary(
            call.method,
            request_serializer=type(call.request).SerializeToString,
            response_deserializer=call.response.FromString,
        )
        while True:
            try:
                answer = await method(call.request, timeout=self.options.timeout, metadata=self._metadata)
            except grpc.RpcError as error:
                pause = retry.pause(code_of(error))
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                self._outage.over()
                return answer


async def _each(cases: Iterable[Case] | AsyncIterable[Case]) -> AsyncIterator[Case]:
    if isinstance(cases, AsyncIterable):
        async for case in cases:
            yield case
        return
    source = iter(cases)
    # The iterable may block, as one that reads a file does.

    def following() -> list[Case]:
        return list(itertools.islice(source, 1))

    while found := await asyncio.to_thread(following):
        yield found[0]
