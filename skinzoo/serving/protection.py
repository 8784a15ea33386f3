"""What protects a server: TLS, tokens, limits, and the folders that models may come from."""

from __future__ import annotations

from dataclasses import dataclass, field

from skinzoo.errors import UsageError
from skinzoo.serving.bases import Bases
from skinzoo.serving.limits import Limits
from skinzoo.serving.tls import Tls
from skinzoo.serving.tokens import Tokens

LARGEST_MESSAGE = 2**31 - 1
"""Bytes; TensorFlow Serving's limit."""


@dataclass(frozen=True, kw_only=True)
class Protection:
    """What protects a server.

    Args:
        tls: Its certificate; None for plain connections.
        tokens: One of these must come with a request; None where anybody may call.
        allow_insecure: Listen without TLS where other machines can reach it.
        message_bytes: Most bytes of a request.
        waiting: Calls that may wait for a thread, beyond those that are under way; half as many as there are
            threads unless given, so that waiting makes no answer take more than half as long again.
        per_client: Calls of one client that may be under way; 0 for any number.
        limits: What one request may ask for.
        bases: Where a remote caller may have models loaded from; None for anywhere.

    Raises:
        UsageError: A limit cannot be one.
    """

    tls: Tls | None = None
    tokens: Tokens | None = None
    allow_insecure: bool = False
    message_bytes: int = LARGEST_MESSAGE
    waiting: int | None = None
    per_client: int = 0
    limits: Limits = field(default_factory=Limits)
    bases: Bases | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.message_bytes <= LARGEST_MESSAGE:
            raise UsageError(
                f"`message_bytes` must be within 1..{LARGEST_MESSAGE:,}. Received: {self.message_bytes:,}."
            )

    def most_calls(self, threads: int) -> int:
        """Return how many calls may be under way or wait."""
        return threads + (threads // 2 if self.waiting is None else self.waiting)
