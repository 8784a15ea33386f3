"""Telling of calls that come through gRPC."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc

from skinzoo.serving.observing import Call, Observer

_SERVICES = ("/tensorflow.serving.", "/skinzoo.")
_TYPED = "/skinzoo."
_TRACE_HEADERS = ("traceparent", "tracestate")
_END = object()


class Observing(grpc.ServerInterceptor):
    """Tells of every call to a model, refused ones too; it comes before all other interceptors.

    Args:
        observers: Who is told.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Return what answers a call."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not self._observers or not method.startswith(_SERVICES):
            return handler
        begin = functools.partial(self._begin, method, handler_call_details.invocation_metadata)
        kind = f"{'stream' if handler.request_streaming else 'unary'}_" + (
            "stream" if handler.response_streaming else "unary"
        )
        wrap = _several if handler.response_streaming else _one
        return getattr(grpc, f"{kind}_rpc_method_handler")(
            wrap(getattr(handler, kind), begin), handler.request_deserializer, handler.response_serializer
        )

    def _begin(self, method: str, metadata: Any) -> Call:
        service, _, name = method[1:].partition("/")
        api = f"{service.rpartition('.')[2]}.{name}" if method.startswith(_TYPED) else name
        headers = {key: value for key, value in metadata or () if key in _TRACE_HEADERS}
        call = Call(entrypoint="GRPC", api=api, observers=self._observers, headers=headers)
        call.start()
        return call


def _one(behavior: Callable[..., Any], begin: Callable[[], Call]) -> Callable[..., Any]:
    @functools.wraps(behavior)
    def answer(request: Any, context: grpc.ServicerContext) -> Any:
        call = begin()
        request = _named(request, call)
        try:
            with call.current():
                found = behavior(request, context)
        except BaseException:
            call.finish(_code(context, grpc.StatusCode.UNKNOWN))
            raise
        call.finish(_code(context, grpc.StatusCode.OK))
        return found

    return answer


def _several(behavior: Callable[..., Any], begin: Callable[[], Call]) -> Callable[..., Any]:
    @functools.wraps(behavior)
    def answer(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        call = begin()
        found = iter(behavior(_named(request, call), context))
        ending = grpc.StatusCode.UNKNOWN
        try:
            while True:
                # gRPC may ask for each answer in another thread.
                with call.current():
                    one = next(found, _END)
                if one is _END:
                    break
                yield one
            ending = grpc.StatusCode.OK
        except GeneratorExit:
            ending = grpc.StatusCode.CANCELLED
            raise
        finally:
            call.finish(_code(context, ending))

    return answer


def _named(request: Any, call: Call) -> Any:
    """Note the model that a request names; of a stream, that of its first message."""
    if isinstance(request, Iterator):
        return _noted(request, call)
    call.model = _model_of(request)
    return request


def _noted(requests: Iterator[Any], call: Call) -> Iterator[Any]:
    for request in requests:
        call.model = call.model or _model_of(request)
        yield request


def _model_of(request: Any) -> str:
    if hasattr(request, "tasks"):
        return request.tasks[0].model_spec.name if request.tasks else ""
    spec = getattr(request, "model_spec", None) or getattr(request, "model", None)
    return getattr(spec, "name", "")


def _code(context: grpc.ServicerContext, otherwise: grpc.StatusCode) -> grpc.StatusCode:
    code = context.code()
    if isinstance(code, int):
        return next((one for one in grpc.StatusCode if one.value[0] == code), otherwise)
    return code or otherwise
