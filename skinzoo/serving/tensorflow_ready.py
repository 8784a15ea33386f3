"""Whether a TensorFlow Serving is ready: every model available, and golden cases answered."""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

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
_SECONDS = 60.0
_AVAILABLE = get_model_status_pb2.ModelVersionStatus.AVAILABLE
_END = get_model_status_pb2.ModelVersionStatus.END
_LATER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DEADLINE_EXCEEDED)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A server that is waited for.

    Args:
        address: `HOST:PORT` of its gRPC.
        sources: What it is to serve.
        tls: Its key and certificates; None for plain connections.
        alive: Raises where it has ended.
    """

    address: str
    sources: Sequence[ModelSource]
    tls: Tls | None = None
    alive: Callable[[], None] = lambda: None


def wait_until_ready(asked: Asked, *, seconds: float) -> None:
    """Return when every model is available and has answered its golden cases.

    Raises:
        ServingError: It has ended, a version does not load, answers differ, or it takes too long.
    """
    end = time.monotonic() + seconds
    channel = None
    while channel is None:
        asked.alive()
        channel = _connect(asked)
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
    """Return a channel; None where nobody listens yet."""
    host, _, port = asked.address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS) as connection:
            name = _name_in_certificate(connection, asked.tls) if asked.tls is not None else None
    except OSError:
        return None
    if asked.tls is None:
        return grpc.insecure_channel(asked.address)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=asked.tls.ca + b"\n" + asked.tls.certificate,
        private_key=asked.tls.key,
        certificate_chain=asked.tls.certificate,
    )
    # It is reached over this machine's own address, which no certificate need name.
    options = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.secure_channel(asked.address, credentials, options=options)


def _name_in_certificate(connection: socket.socket, tls: Tls) -> str | None:
    context = ssl.create_default_context(cadata=(tls.ca + b"\n" + tls.certificate).decode("ascii"))
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    with tempfile.TemporaryDirectory() as folder:
        pair = Path(folder, "pair.pem")
        pair.touch(mode=0o600)
        pair.write_bytes(tls.key.rstrip() + b"\n" + tls.certificate)
        context.load_cert_chain(pair)
    with context.wrap_socket(connection) as secured:
        found = secured.getpeercert() or {}
    alternatives: list[tuple[str, str]] = list(found.get("subjectAltName", ()))  # type: ignore[arg-type]
    return next((value for kind, value in alternatives if kind == "DNS"), None)
