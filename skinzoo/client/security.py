"""How a client trusts a server, and how it says who it is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from skinzoo.errors import UsageError

TOKEN_VARIABLE = "SKINZOO_TOKEN"
_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----")


@dataclass(frozen=True, kw_only=True)
class Security:
    """How a client trusts a server, and how it says who it is.

    Args:
        tls: Whether the connection has TLS; any certificate implies it.
        ca: Certificates of the authorities that the server's comes from, PEM; None for gRPC's own list.
        certificate: The client's own certificate, PEM, for mutual TLS.
        key: Its private key, PEM.
        token: Bearer token; empty for none.

    Raises:
        UsageError: A certificate came without its key, or a key without its certificate.
    """

    tls: bool = False
    ca: bytes | None = field(default=None, repr=False)
    certificate: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise UsageError(
                "A client's certificate must come with its key. "
                f"Received: {'the key' if self.certificate is None else 'the certificate'} alone.",
                hint="Give both: --cert FILE --key FILE",
            )

    def credentials(self) -> grpc.ChannelCredentials | None:
        """Return the credentials of a channel; None for a plain connection."""
        if not (self.tls or self.ca or self.certificate):
            return None
        return grpc.ssl_channel_credentials(self.ca, self.key, self.certificate)


def read_security(
    *,
    tls: bool = False,
    ca: Path | None = None,
    cert: Path | None = None,
    key: Path | None = None,
    token_file: Path | None = None,
) -> Security:
    """Read certificates and the token from files.

    Args:
        tls: Whether the connection has TLS in any case.
        ca: Authorities.
        cert: The client's certificate.
        key: Its key.
        token_file: A file whose first line is the token; the environment's `SKINZOO_TOKEN` unless given.

    Raises:
        UsageError: A file cannot be used.
    """
    return Security(
        tls=tls,
        ca=_pem(ca, "--ca"),
        certificate=_pem(cert, "--cert"),
        key=_pem(key, "--key"),
        token=_token(token_file),
    )


def _pem(path: Path | None, option: str) -> bytes | None:
    if path is None:
        return None
    try:
        found = path.expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"`{option}` must be readable. Received: {error}.") from error
    if not _PEM.search(found):
        raise UsageError(f"`{option}` must be a PEM file. Received: '{path}', which is none.")
    return found


def _token(path: Path | None) -> str:
    if path is None:
        found, where = os.environ.get(TOKEN_VARIABLE, ""), f"${TOKEN_VARIABLE}"
    else:
        where = "--token-file"
        try:
            lines = path.expanduser().read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError):
            raise UsageError(f"`{where}` must be a readable text file. Received: '{path}'.") from None
        found = lines[0] if lines else ""
        if not found:
            raise UsageError(f"`{where}` must hold a token. Received: '{path}', empty.")
    if not (found.isascii() and found.isprintable()) or " " in found:
        # The token itself must not be shown.
        raise UsageError(f"`{where}` must hold a token of visible ASCII. Received: other characters in it.")
    return found
