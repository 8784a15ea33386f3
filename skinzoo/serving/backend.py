"""The typed service in front of a remote TensorFlow Serving.

Its Predict call gives the answers, its GetModelMetadata call the signatures and the version. It cannot give
the card of an export: without `--card` there are no vocabularies to check terms against and no intended use
to show. It decodes a whole batch at once, so one bad image would fail the cases of other callers too; images
are therefore decoded here before they are sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2, predict_pb2
from tensorflow_serving.apis.prediction_service_pb2_grpc import PredictionServiceStub

from skinzoo.errors import ModelError, ServingError
from skinzoo.export.card import Card, parse_card, read_card
from skinzoo.export.names import (
    AGE,
    CALIBRATED,
    CLASSES,
    DECODE,
    EXPLAIN,
    IMAGE,
    IMAGE_BYTES,
    PROBABILITIES,
    SERVING,
    TENSORS,
)
from skinzoo.serving.status import RpcError
from skinzoo.serving.tensors import to_array, to_proto

_UNSTATED = "Not stated: TensorFlow Serving does not give an export's card. Not for diagnosis."
_PASSED_ON = (SERVING, EXPLAIN, DECODE)
_FRESH_SECONDS = 1.0
_CALL_SECONDS = 60.0


@dataclass(frozen=True)
class RemoteServable:
    """A version that TensorFlow Serving has loaded, with the part of `Servable` that the typed service uses.

    Args:
        stub: The connection.
        name: Name of the model.
        version: Version number.
        signatures: The signatures that are passed on.
        card: Its card.
    """

    stub: PredictionServiceStub
    name: str
    version: int
    signatures: Mapping[str, Any]
    card: Card | None

    def run(
        self,
        signature: str,
        inputs: Mapping[str, Any],
        *,
        output_filter: Collection[str] = (),
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Return a signature's outputs, as `Servable.run` does.

        Raises:
            RpcError: The server answered with an error, or not at all.
        """
        spec = model_pb2.ModelSpec(name=self.name, signature_name=signature)
        spec.version.value = self.version
        request = predict_pb2.PredictRequest(model_spec=spec, output_filter=output_filter)
        for name, value in inputs.items():
            if name in self.signatures[signature].inputs:
                request.inputs[name].CopyFrom(to_proto(value))
        response = _answer(self.stub.Predict, request, timeout)
        return {name: to_array(tensor) for name, tensor in response.outputs.items()}


class RemoteModels:
    """The models of a TensorFlow Serving, for the typed service.

    Args:
        address: `HOST:PORT` of its gRPC.
        model: Name of the model that is meant where a request names none.
        card: The export's card; made up from what the server tells unless given.

    Raises:
        ServingError: There is no such server or model, or the model is no export of skinzoo.
    """

    def __init__(self, address: str, model: str, *, card: Card | None = None) -> None:
        limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(address, options=limits)
        self._stub = PredictionServiceStub(self._channel)
        self._model = model
        self._given = card
        self._known: dict[tuple[str, int | None, str | None], tuple[float, RemoteServable]] = {}
        self._lock = threading.Lock()
        try:
            with self.use(model):
                pass
        except RpcError as error:
            self.close()
            raise ServingError(
                f"`--backend` must be a TensorFlow Serving with the model '{model}'. Received: '{address}' "
                f"({error.code.name}, {error.message}).",
                hint="Check host and port, and name the model with --model-name.",
            ) from error

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def only_name(self) -> str | None:
        """Return the name of the model that is meant where none is named."""
        return self._model

    @contextmanager
    def use(
        self, name: str, *, version: int | None = None, label: str | None = None
    ) -> Iterator[RemoteServable]:
        """Give a version; which one the newest is, is asked for once a second.

        Raises:
            RpcError: The server has no such model, version or label, or is away.
        """
        key = (name, version, label)
        with self._lock:
            known = self._known.get(key)
        if known is None or time.monotonic() - known[0] > _FRESH_SECONDS:
            known = (time.monotonic(), self._asked(name, version, label, known[1] if known else None))
            with self._lock:
                self._known[key] = known
        yield known[1]

    def _asked(
        self, name: str, version: int | None, label: str | None, before: RemoteServable | None
    ) -> RemoteServable:
        spec = model_pb2.ModelSpec(name=name)
        if label is not None:
            spec.version_label = label
        elif version is not None:
            spec.version.value = version
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        response = _answer(self._stub.GetModelMetadata, request, _CALL_SECONDS)
        found = response.model_spec.version.value
        if before is not None and before.version == found:
            return before
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        # `tensors` would send decoded pixels, and `decode` them back: many times the bytes of the files.
        every = signatures.signature_def
        passed_on = {key: every[key] for key in _PASSED_ON if key in every}
        servable = RemoteServable(self._stub, name, found, passed_on, None)
        if SERVING not in passed_on or IMAGE_BYTES not in passed_on[SERVING].inputs:
            return servable
        card = self._given if self._given is not None and name == self._model else None
        size = every[TENSORS].inputs[IMAGE].tensor_shape.dim[1].size if TENSORS in every else 0
        card = card or _card(servable, size)
        return replace(servable, card=replace(card, name=name, version=found))


def card_of(path: Path) -> Card:
    """Read a card from its file, or from an export's version folder.

    Raises:
        ModelError: There is none.
    """
    if path.is_dir():
        card = read_card(path)
        if card is None:
            raise ModelError(f"`--card` must be a card or an export. Received: '{path}', which has none.")
        return card
    try:
        return parse_card(path.read_text(encoding="utf-8"), source=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"`--card` must be readable. Received: '{path}' ({error}).") from error


def _card(servable: RemoteServable, size: int) -> Card:
    """Return what can be told of a model without its card; one answer tells the names of the classes."""
    signature = servable.signatures[SERVING]
    outputs = servable.run(SERVING, _probe(signature.inputs), timeout=_CALL_SECONDS)
    if CLASSES not in outputs or PROBABILITIES not in outputs:
        raise RpcError(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"The model '{servable.name}' has no outputs '{CLASSES}' and '{PROBABILITIES}', so it is no "
            "export of skinzoo.",
        )
    return Card(
        name=servable.name,
        version=servable.version,
        intended_use=_UNSTATED,
        classes=tuple(one.decode() for one in outputs[CLASSES][0]),
        image={"size": size},
        sex=(),
        localization=(),
        uses_metadata=AGE in signature.inputs,
        has_attention=EXPLAIN in servable.signatures,
        variant={},
        training={},
        evaluation=None,
        calibration={} if CALIBRATED in outputs else None,
        licence={},
        signatures={},
    )


def _probe(inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("L", (8, 8), 128).save(stream, "PNG")
    values = {IMAGE_BYTES: np.array([stream.getvalue()], object), AGE: np.array([np.nan], np.float32)}
    return {name: values.get(name, np.array([b""], object)) for name in inputs}


def _answer(method: Any, request: Any, timeout: float | None) -> Any:
    try:
        return method(request, timeout=timeout)
    except grpc.RpcError as error:
        raise RpcError(error.code(), error.details() or "") from error
