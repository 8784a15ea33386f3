"""From exceptions to statuses."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from skinzoo.errors import SkinzooError
from skinzoo.serving.faults import log_unexpected
from skinzoo.serving.models import status_of
from skinzoo.serving.servable import deadline_exceeded
from skinzoo.serving.status import MAXIMUM_TEXT, RpcError

_LOG = logging.getLogger(__name__)
# gRPC gives three hundred billion years for a call without a deadline.
_FOREVER = 1e9


def time_left(context: grpc.ServicerContext) -> float | None:
    """Return the seconds until the caller's deadline; None where there is none."""
    left: float | None = context.time_remaining()
    return left if left is not None and left < _FOREVER else None


@contextmanager
def answering(context: grpc.ServicerContext) -> Iterator[None]:
    """End a call with the status of what is raised within.

    Args:
        context: The call.
    """
    try:
        if not context.is_active():
            # The caller gave up while the call waited for a thread.
            raise deadline_exceeded()
        yield
    except grpc.RpcError:
        # The caller of a stream went away; gRPC knows its own.
        raise
    except RpcError as error:
        context.abort(error.code, error.message)
    except SkinzooError as error:
        failure = status_of(error)
        context.abort(failure.code, failure.message)
    except Exception as error:
        log_unexpected(_LOG, error)
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"[:MAXIMUM_TEXT])
