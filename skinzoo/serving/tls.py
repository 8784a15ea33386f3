"""TLS of the server, from TensorFlow Serving's `SSLConfig`, and the rule where it must not be absent."""

from __future__ import annotations

import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from skinzoo.addresses import is_loopback
from skinzoo.errors import UsageError

_TEXTS = ("server_key", "server_cert", "custom_ca")
_HINT = 'It holds PEM texts: server_key: "-----BEGIN ..." server_cert: "-----BEGIN ..."'


@dataclass(frozen=True, kw_only=True)
class Tls:
    """What the server proves itself with, and what it asks of its clients.

    Args:
        key: Private key, PEM.
        certificate: Its certificate with those that lead to its authority, PEM.
        ca: Certificates of the authorities that clients' certificates come from, PEM; empty for the system's.
        verify_clients: Whether a client must have a certificate (mutual TLS).
    """

    key: bytes = field(repr=False)
    certificate: bytes = field(repr=False)
    ca: bytes = field(default=b"", repr=False)
    verify_clients: bool = False

    def credentials(self) -> grpc.ServerCredentials:
        """Return it for gRPC."""
        return grpc.ssl_server_credentials(
            [(self.key, self.certificate)],
            root_certificates=self.ca or (_system_roots() if self.verify_clients else None),
            require_client_auth=self.verify_clients,
        )

    def context(self) -> ssl.SSLContext:
        """Return it for HTTPS.

        Raises:
            ssl.SSLError: Key and certificates do not fit together, or are none.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # Python takes a key from a file alone: one that nobody else can open, and only for this moment.
        handle, name = tempfile.mkstemp()
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.key.rstrip() + b"\n" + self.certificate)
            # An empty password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(name, password="")
        finally:
            Path(name).unlink()
        if self.ca:
            context.load_verify_locations(cadata=self.ca.decode("ascii"))
        if self.verify_clients:
            if not self.ca:
                context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def read_ssl_config(path: Path) -> Tls:
    """Read a text proto of TensorFlow Serving's `SSLConfig`.

    Raises:
        UsageError: It cannot be read, or what it holds does not fit together. The text never shows the key.
    """
    message = _message_class()()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`--ssl-config-file` must be readable. Received: {_reason(error)}.") from error
    except text_format.ParseError as error:
        # The parser's own words may quote the key.
        where = f"line {error.GetLine()}" if error.GetLine() else "its text"
        raise UsageError(
            f"`--ssl-config-file` must be a text proto of SSLConfig. Received: '{path}', wrong in {where}.",
            hint=_HINT,
        ) from None
    for name in _TEXTS[:2]:
        if not getattr(message, name):
            raise UsageError(f"`--ssl-config-file` must hold a `{name}`. Received: none.", hint=_HINT)
    found = Tls(
        key=message.server_key.encode(),
        certificate=message.server_cert.encode(),
        ca=message.custom_ca.encode(),
        verify_clients=message.client_verify,
    )
    try:
        found.context()
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "texts that are no PEM"
        raise UsageError(
            "`--ssl-config-file` must hold a key without a password, its certificate, and certificates of "
            f"authorities, all as PEM. Received: '{path}', {str(reason).replace('_', ' ').lower()}.",
            hint="The texts themselves belong into the file, not the names of files.",
        ) from None
    return found


def text_of(tls: Tls) -> str:
    """Return the text proto of `SSLConfig`, as `read_ssl_config` reads it; it holds the private key."""
    message = _message_class()(
        server_key=tls.key.decode("ascii"),
        server_cert=tls.certificate.decode("ascii"),
        custom_ca=tls.ca.decode("ascii"),
        client_verify=tls.verify_clients,
    )
    return text_format.MessageToString(message)


def check_exposed(host: str, *, tls: bool, allowed: bool) -> None:
    """Check that a server that other machines can reach has TLS.

    Args:
        host: Address to listen on.
        tls: Whether there is TLS.
        allowed: Whether the operator has said that there need not be.

    Raises:
        UsageError: It has none.
    """
    if tls or allowed or is_loopback(host):
        return
    raise UsageError(
        f"A server that other machines can reach must have TLS. Received: host '{host}' without it.",
        hint="Add --ssl-config-file FILE, or --allow-insecure where something else protects the network.",
    )


def _system_roots() -> bytes:
    """Return the system's authorities; gRPC has none of its own for clients' certificates."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    return "".join(map(ssl.DER_cert_to_PEM_cert, context.get_ca_certs(binary_form=True))).encode()


def _reason(error: OSError | UnicodeDecodeError) -> str:
    # Of bytes that are no text Python quotes some.
    return "bytes that are no UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _message_class() -> Any:
    """Return the message, which tensorflow-serving-api does not ship."""
    kind = descriptor_pb2.FieldDescriptorProto
    message = descriptor_pb2.DescriptorProto(name="SSLConfig")
    for number, name in enumerate((*_TEXTS, "client_verify"), start=1):
        message.field.add(
            name=name,
            number=number,
            type=kind.TYPE_STRING if name in _TEXTS else kind.TYPE_BOOL,
            label=kind.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(
        descriptor_pb2.FileDescriptorProto(
            name="skinzoo/ssl_config.proto",
            package="skinzoo.serving",
            syntax="proto3",
            message_type=[message],
        ).SerializeToString()
    )
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("skinzoo.serving.SSLConfig"))
