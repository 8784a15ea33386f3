"""Bearer tokens: who may call."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from pathlib import Path

from skinzoo.errors import UsageError

SHORTEST = 16
"""Characters; less can be guessed."""
_HINT = "Make one with: openssl rand -hex 32"
# What RFC 6750 allows in a header.
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")
_SCHEME = "bearer "


class Tokens:
    """The tokens that a server accepts; only their digests are kept.

    Args:
        tokens: The tokens.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        self._digests = [_digest(token) for token in tokens]

    def accepts(self, authorization: str | bytes | None) -> bool:
        """Return whether a request may be answered, in a time that does not depend on which token it has.

        Args:
            authorization: Its `authorization` header.
        """
        digest = _digest(token_of(authorization))
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(known, digest)
        return found


def token_of(authorization: str | bytes | None) -> str:
    """Return the token of an `authorization` header; empty where there is none."""
    if isinstance(authorization, bytes):
        authorization = authorization.decode("latin-1")
    if authorization is None or not authorization.lower().startswith(_SCHEME):
        return ""
    return authorization[len(_SCHEME) :].strip()


def read_tokens(path: Path) -> Tokens:
    """Read a file of tokens, one a line.

    Raises:
        UsageError: It cannot be read, is empty, or a line is no token. The text never shows one.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UsageError(f"`--token-file` must be text. Received: '{path}', which is none.") from None
    except OSError as error:
        raise UsageError(f"`--token-file` must be readable. Received: {error}.") from error
    found = {number: line.strip() for number, line in enumerate(lines, start=1) if line.strip()}
    if not found:
        raise UsageError(f"`--token-file` must hold a token a line. Received: '{path}', empty.", hint=_HINT)
    for number, token in found.items():
        if len(token) < SHORTEST or not _TOKEN.fullmatch(token):
            raise UsageError(
                f"A token must be at least {SHORTEST} letters, digits or signs of -._~+/ long. "
                f"Received: line {number} of '{path}', which is not.",
                hint=_HINT,
            )
    return Tokens(found.values())


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
