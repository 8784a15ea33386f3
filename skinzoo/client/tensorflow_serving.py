"""TensorFlow Serving's side of a conversation; its messages bring TensorFlow, so they are imported on use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skinzoo.client.api import Api, Call, Conversation
from skinzoo.client.cases import Explanation, ReadyCase, Result
from skinzoo.client.model import Model
from skinzoo.client.options import Selector
from skinzoo.errors import ServingError, UsageError
from skinzoo.export.names import (
    ABSTAIN,
    AGE,
    ATTENTION,
    CALIBRATED,
    CLASSES,
    DECODE,
    EXPLAIN,
    IMAGE,
    IMAGE_BYTES,
    LOCALIZATION,
    PREDICTED_CLASS,
    PROBABILITIES,
    SEX,
)

if TYPE_CHECKING:
    from skinzoo.export.card import Card

_SERVICE = "/tensorflow.serving.PredictionService/"
_NEEDED = (PROBABILITIES, CLASSES, PREDICTED_CLASS)
# A grey pixel as PNG: asked about once, for the class names.
_GREY = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c636800000082008177cd72b60000000049454e44ae426082"
)


class TensorFlowApi(Api):
    """`tensorflow.serving.PredictionService`.

    Args:
        selector: Which model answers; it must be named.
        signature: The signature that is called.
        card: The export's card, which the service cannot give.

    Raises:
        UsageError: The model has no name.
    """

    def __init__(self, selector: Selector, signature: str, card: Card | None = None) -> None:
        if not selector.name:
            raise UsageError(
                "`model` must be given for the TensorFlow Serving API. Received: none.",
                hint="Name it with --model NAME: the name that TensorFlow Serving serves it under.",
            )
        super().__init__(selector)
        self._signature = signature
        self._card = card
        self._inputs: frozenset[str] = frozenset()
        self._signatures: frozenset[str] = frozenset()

    def describe(self) -> Conversation[Model]:
        """Ask for the signatures, and once for an answer, which holds the class names."""
        from tensorflow_serving.apis import get_model_metadata_pb2 as metadata

        request = metadata.GetModelMetadataRequest(model_spec=self._spec(), metadata_field=["signature_def"])
        response = yield Call(_SERVICE + "GetModelMetadata", request, metadata.GetModelMetadataResponse)
        found = metadata.SignatureDefMap()
        response.metadata["signature_def"].Unpack(found)
        self._signatures = frozenset(found.signature_def)
        self._inputs = frozenset(self._checked(found.signature_def))
        grey = ReadyCase(id="", source="", image=_GREY, age=float("nan"), sex="", localization="")
        answer = yield self.request([grey])
        [result] = self.results(answer, [grey])
        card = self._card
        return Model(
            name=result.model,
            version=result.version,
            classes=result.classes,
            sex=card.sex if card else (),
            localization=card.localization if card else (),
            image_size=int(card.image["size"]) if card else 0,
            has_calibration=bool(result.calibrated),
            has_attention=EXPLAIN in self._signatures,
            card=card,
        )

    def request(self, cases: Sequence[ReadyCase]) -> Call:
        """Return a Predict request."""
        return self._predict(self._signature, cases)

    def results(self, response: Any, cases: Sequence[ReadyCase]) -> list[Result]:
        """Return the results of a Predict response."""
        return results_of(outputs_of(response), len(cases), **_answerer(response))

    def explain(self, case: ReadyCase) -> Conversation[Explanation]:
        """Ask for the attention map and for the pixels that it lies over."""
        from skinzoo.explain.overlay import overlay_png

        if EXPLAIN not in self._signatures:
            raise ServingError(
                f"The model must have the signature '{EXPLAIN}'. Received: "
                f"{', '.join(sorted(self._signatures))}.",
                hint="A variant without an attention map has none.",
            )
        response = yield self._predict(EXPLAIN, [case])
        outputs = outputs_of(response)
        [result] = results_of(outputs, 1, **_answerer(response))
        map = outputs[ATTENTION][0]
        overlay = b""
        if DECODE in self._signatures:
            pixels = outputs_of((yield self._predict(DECODE, [case], only=(IMAGE_BYTES,))))[IMAGE][0]
            overlay = overlay_png(pixels, map)
        return Explanation(
            result=result.of(case), overlay_png=overlay, attention=tuple(map_row(row) for row in map)
        )

    def _predict(
        self, signature: str, cases: Sequence[ReadyCase], *, only: Sequence[str] | None = None
    ) -> Call:
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest(model_spec=self._spec(signature))
        for name, tensor in tensors_of(cases).items():
            if name in (self._inputs if only is None else only):
                request.inputs[name].CopyFrom(tensor)
        return Call(_SERVICE + "Predict", request, predict_pb2.PredictResponse)

    def _checked(self, signatures: Mapping[str, Any]) -> list[str]:
        if self._signature not in signatures:
            raise UsageError(
                f"The model '{self.selector.name}' must have the signature '{self._signature}'. "
                f"Received: {', '.join(sorted(signatures))}.",
            )
        inputs = signatures[self._signature].inputs
        outputs = signatures[self._signature].outputs
        known = {IMAGE_BYTES, AGE, SEX, LOCALIZATION}
        if IMAGE_BYTES not in inputs or not known >= set(inputs) or not set(_NEEDED) <= set(outputs):
            raise ServingError(
                f"The signature '{self._signature}' of '{self.selector.name}' must be that of an export of "
                f"skinzoo. Received: inputs {', '.join(sorted(inputs))} and outputs "
                f"{', '.join(sorted(outputs))}.",
                hint="Serve what `skinzoo export` wrote, or name another --model.",
            )
        return list(inputs)

    def _spec(self, signature: str = "") -> Any:
        from tensorflow_serving.apis import model_pb2

        spec = model_pb2.ModelSpec(name=self.selector.name, signature_name=signature)
        if self.selector.version is not None:
            spec.version.value = self.selector.version
        elif self.selector.label:
            spec.version_label = self.selector.label
        return spec


def tensors_of(cases: Sequence[ReadyCase]) -> dict[str, Any]:
    """Return cases as TensorProtos, by input name."""
    import tensorflow as tf

    columns = {
        IMAGE_BYTES: np.array([case.image for case in cases], dtype=object),
        AGE: np.array([case.age for case in cases], np.float32),
        SEX: np.array([case.sex.encode() for case in cases], dtype=object),
        LOCALIZATION: np.array([case.localization.encode() for case in cases], dtype=object),
    }
    return {name: tf.make_tensor_proto(values) for name, values in columns.items()}


def outputs_of(response: Any) -> dict[str, np.ndarray]:
    """Return the outputs of a Predict response as arrays."""
    import tensorflow as tf

    return {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}


def results_of(outputs: Mapping[str, np.ndarray], cases: int, *, name: str, version: int) -> list[Result]:
    """Return the results that a signature's outputs hold.

    Raises:
        ServingError: They are not those of as many cases.
    """
    for needed in _NEEDED:
        if needed not in outputs or len(outputs[needed]) != cases:
            raise ServingError(
                f"A server must answer every case with '{needed}'. Received: "
                f"{len(outputs[needed]) if needed in outputs else 'no such output'} for {cases} cases."
            )
    return [
        Result(
            model=name,
            version=version,
            classes=tuple(one.decode() for one in outputs[CLASSES][i]),
            probabilities=map_row(outputs[PROBABILITIES][i]),
            predicted_class=outputs[PREDICTED_CLASS][i].decode(),
            calibrated=map_row(outputs[CALIBRATED][i]) if CALIBRATED in outputs else (),
            abstain=bool(outputs[ABSTAIN][i]) if ABSTAIN in outputs else None,
        )
        for i in range(cases)
    ]


def map_row(values: np.ndarray) -> tuple[float, ...]:
    """Return a row of an array as numbers."""
    return tuple(float(value) for value in values)


def _answerer(response: Any) -> dict[str, Any]:
    return {"name": response.model_spec.name, "version": response.model_spec.version.value}
