"""Whether a TensorFlow Serving is ready: every model available, and golden cases answered."""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from skinzoo.errors import ServingError
from skinzoo.export import names
from skinzoo.export.golden import read_golden
from skinzoo.serving.engines import EngineOptions
from skinzoo.serving.folders import ModelSource, versions_in
from skinzoo.serving.loading import questions
from skinzoo.serving.tensors import to_array, to_proto
from skinzoo.serving.tls import Tls

_PAUSE = 0.25
_MOST_CLOSED = 20
_SECONDS = 60.0
_AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE
_END = get_model_status_pb2.ModelVersionStatus.END
_LATER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Who a client is.

    Args:
        key: Private key, PEM.
        certificate: Its certificate with those that lead to its authority, PEM.
    """

    key: bytes = field(repr=False)
    certificate: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A server that is waited for.

    Args:
        address: `HOST:PORT` of its gRPC.
        sources: What it is to serve.
        tls: Its key and certificates; None for plain connections.
        client: The client's own key and certificate, where clients must have one; the server's own for None.
        alive: Raises where it has ended.
    """

    address: str
    sources: Sequence[ModelSource]
    tls: Tls | None = None
    client: Pair | None = None
    alive: Callable[[], None] = lambda: None


class _ClosedError(Exception):
    """A connection that was closed after its TLS handshake."""


def wait_until_ready(asked: Asked, *, seconds: float) -> None:
    """Return when every model is available and has answered its golden cases.

    Raises:
        ServingError: It has ended, a version does not load, answers differ, or it takes too long.
    """
    end = time.monotonic() + seconds
    channel, closed = None, 0
    while channel is None:
        asked.alive()
        try:
            channel = _connect(asked)
        except _ClosedError:
            # Once may be a server that has not quite begun.
            closed += 1
            if closed == _MOST_CLOSED:
                raise ServingError(
                    "TensorFlow Serving must let the check of its readiness in. "
                    "Received: connections that it closes when it has seen the certificate.",
                    hint="Where its own is not for clients too, give one that is: --ready-cert FILE "
                    "--ready-key FILE",
                ) from None
        _pause(asked, end, "a connection")
    with closing(channel):
        for source in asked.sources:
            for version in source.policy.choose(list(versions_in(source.base_path))):
                while not _available(channel, source.name, version):
                    _pause(asked, end, f"{source.name} version {version}")
                _check_golden(channel, source, version)


def _pause(asked: Asked, end: float, what: str) -> None:
    asked.alive()
    if time.monotonic() > end:
        raise ServingError(f"TensorFlow Serving must become ready in time. Received: still without {what}.")
    time.sleep(_PAUSE)


def _available(channel: grpc.Channel, model: str, version: int) -> bool:
    spec = model_pb2.ModelSpec(name=model)
    spec.version.value = version
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    try:
        answer = stub.GetModelStatus(
            get_model_status_pb2.GetModelStatusRequest(model_spec=spec), timeout=_SECONDS
        )
    except grpc.RpcError as error:
        if error.code() in _LATER:
            return False
        raise ServingError(
            f"TensorFlow Serving must tell how '{model}' stands. Received: {error.code().name}, "
            f"{error.details()}."
        ) from error
    (status,) = answer.model_version_status
    if status.state == _END:
        raise ServingError(
            f"TensorFlow Serving must load '{model}' version {version}. Received: "
            f"{status.status.error_message or 'its end'}.",
            hint="Export the run again with: skinzoo export RUN",
        )
    return status.state == _AVAILABLE


def _check_golden(channel: grpc.Channel, source: ModelSource, version: int) -> None:
    path = versions_in(source.base_path)[version] / names.EXTRA_FOLDER / names.GOLDEN_FILE
    if not path.is_file():
        return
    signature, inputs, expected = questions(read_golden(path))[0]
    request = predict_pb2.PredictRequest(output_filter=[names.PROBABILITIES])
    request.model_spec.name, request.model_spec.signature_name = source.name, signature
    request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(to_proto(value[:1]))
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    try:
        answer = stub.Predict(request, timeout=_SECONDS)
    except grpc.RpcError as error:
        raise ServingError(
            f"'{source.name}' version {version} must answer a golden case. Received: {error.code().name}, "
            f"{error.details()}."
        ) from error
    found = to_array(answer.outputs[names.PROBABILITIES])
    tolerance = EngineOptions().tolerance
    difference = float(np.abs(found - expected[:1]).max())
    # Written so that NaN fails.
    if not difference <= tolerance:
        raise ServingError(
            f"'{source.name}' version {version} must answer a golden case within {tolerance}. "
            f"Received: {difference:.2g} off."
        )


def _connect(asked: Asked) -> grpc.Channel | None:
    """Return a channel; None where nobody listens yet.

    Raises:
        ServingError: Whoever listens is not who is meant.
        _ClosedError: It does not let this client in.
    """
    host, _, port = asked.address.rpartition(":")
    client = asked.client or (
        Pair(key=asked.tls.key, certificate=asked.tls.certificate) if asked.tls else None
    )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS) as connection:
            name = _name_of(connection, asked.tls, client) if asked.tls and client else None
    except ssl.SSLCertVerificationError as error:
        raise ServingError(
            "TensorFlow Serving must show the certificate of --ssl-config-file. "
            f"Received: another one, {error.verify_message}.",
            hint="Something else listens there, or the certificate is not valid now.",
        ) from error
    except OSError:
        return None
    if asked.tls is None or client is None:
        return grpc.insecure_channel(asked.address)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=asked.tls.ca + b"\n" + asked.tls.certificate,
        private_key=client.key,
        certificate_chain=client.certificate,
    )
    # It is reached over this machine's own address, which no certificate need name.
    options = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.secure_channel(asked.address, credentials, options=options)


def _name_of(connection: socket.socket, tls: Tls, client: Pair) -> str | None:
    """Return a name that the server's certificate has, once it has let this client in."""
    context = ssl.create_default_context(cadata=(tls.ca + b"\n" + tls.certificate).decode("ascii"))
    # Its own certificate is known here, and is trusted whoever has signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder, "pair.pem")
        pair.touch(mode=0o600)
        pair.write_bytes(client.key.rstrip() + b"\n" + client.certificate)
        context.load_cert_chain(pair)
    with context.wrap_socket(connection) as secured:
        # In TLS 1.3 a client is refused after the handshake; a server that accepts it speaks first in HTTP/2.
        try:
            heard = secured.recv(1)
        except OSError as error:
            raise _ClosedError from error
        if not heard:
            raise _ClosedError
        found: Any = secured.getpeercert() or {}
    alternatives = found.get("subjectAltName", ())
    subject = [pair for part in found.get("subject", ()) for pair in part]
    wanted = ("DNS", "IP Address") if alternatives else ("commonName",)
    return next((value for kind, value in alternatives or subject if kind in wanted), None)
