"""The typed service, `skinzoo.v1.LesionClassifier`."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import grpc
import numpy as np

from skinzoo.explain.overlay import overlay_png
from skinzoo.export.card import Card
from skinzoo.export.names import ATTENTION, DECODE, EXPLAIN, IMAGE, IMAGE_BYTES
from skinzoo.ordered import in_order
from skinzoo.serving.cases import (
    OUTPUTS,
    CaseProblem,
    answer,
    check_case,
    classification,
    inputs_of,
    undecodable_case,
)
from skinzoo.serving.limits import Limits
from skinzoo.serving.rpc import answering, time_left
from skinzoo.serving.servable import Servable
from skinzoo.serving.status import RpcError, failed_precondition, invalid_argument
from skinzoo.v1 import lesion_classifier_pb2 as pb
from skinzoo.v1.lesion_classifier_pb2_grpc import (
    LesionClassifierServicer,
    add_LesionClassifierServicer_to_server,
)

SERVICE_NAME = pb.DESCRIPTOR.services_by_name["LesionClassifier"].full_name


class ModelsInUse(Protocol):
    """What the service needs of `skinzoo.serving.models.Models`."""

    def use(self, name: str, *, version: int | None = None, label: str | None = None) -> Any:
        """Hold a version while a request uses it."""

    def only_name(self) -> str | None:
        """Return the name of the only model."""


def add_typed_service(server: grpc.Server, models: ModelsInUse, *, limits: Limits | None = None) -> None:
    """Add the typed service to a server.

    Args:
        server: The server.
        models: What is served.
        limits: What one request may ask for.
    """
    add_LesionClassifierServicer_to_server(LesionClassifierService(models, limits), server)


class LesionClassifierService(LesionClassifierServicer):
    """Answers the four calls of the typed service.

    Args:
        models: What is served.
        limits: What one request may ask for.
    """

    def __init__(self, models: ModelsInUse, limits: Limits | None = None) -> None:
        self._models = models
        self._limits = limits or Limits()

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Answer every case of a request, each with a result or an error."""
        with answering(context):
            if not request.cases:
                raise invalid_argument("`cases` must hold at least one case. Received: none.")
            if len(request.cases) > self._limits.cases:
                raise invalid_argument(
                    f"`cases` must hold at most {self._limits.cases} cases. Received: {len(request.cases)}."
                )
            with self._use(request.model) as (servable, card):
                results = answer(request.cases, servable, card, self._limits, timeout=time_left(context))
                return pb.ClassifyResponse(model=_served(servable), classes=card.classes, results=results)

    def ClassifyStream(  # noqa: N802
        self, request_iterator: Iterator[Any], context: grpc.ServicerContext
    ) -> Iterator[Any]:
        """Answer cases as they come, in their order."""
        with answering(context):
            first = next(request_iterator, None)
            if first is None:
                return
            with self._use(first.model) as (servable, card):
                served = _served(servable)
            # A version is held for each case rather than for the stream, which may never end.
            pinned = pb.ModelSelector(name=served.name, version=served.version)

            def one(request: Any) -> pb.CaseResult:
                with self._use(pinned) as (now, card_now):
                    return answer([request.case], now, card_now, self._limits, timeout=time_left(context))[0]

            requests = itertools.chain([first], request_iterator)
            for sequence, result in enumerate(in_order(requests, one, self._limits.in_flight)):
                response = pb.ClassifyStreamResponse(sequence=sequence, result=result)
                if sequence == 0:
                    response.model.CopyFrom(served)
                    response.classes.extend(card.classes)
                yield response

    def Explain(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Classify one case and draw the attention map over its image."""
        with answering(context), self._use(request.model) as (servable, card):
            if EXPLAIN not in servable.signatures:
                raise RpcError(
                    grpc.StatusCode.UNIMPLEMENTED, f"The model '{servable.name}' has no attention map."
                )
            response = pb.ExplainResponse(model=_served(servable), classes=card.classes)
            case = request.case
            try:
                check_case(case, self._limits)
                pixels = _decoded(case, servable, time_left(context))
            except CaseProblem as problem:
                response.result.CopyFrom(problem.result(case.id))
                return response
            outputs = servable.run(EXPLAIN, inputs_of([case]), timeout=time_left(context))
            row = {name: np.asarray(outputs[name])[0] for name in (*OUTPUTS, ATTENTION) if name in outputs}
            attention = row[ATTENTION]
            response.result.CopyFrom(
                pb.CaseResult(id=case.id, classification=classification(row, case, card))
            )
            response.overlay_png = overlay_png(pixels, attention)
            response.attention.extend(attention.ravel().tolist())
            response.attention_height, response.attention_width = attention.shape
            return response

    def GetModelCard(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Describe a model."""
        with answering(context), self._use(request.model) as (servable, card):
            return pb.GetModelCardResponse(
                model=_served(servable),
                classes=card.classes,
                sex_vocabulary=card.sex,
                localization_vocabulary=card.localization,
                image_size=int(card.image.get("size", 0)),
                uses_metadata=card.uses_metadata,
                has_calibration=card.calibration is not None,
                has_attention=EXPLAIN in servable.signatures,
                intended_use=card.intended_use,
                card_json=json.dumps(card.to_dict(), ensure_ascii=False),
            )

    @contextmanager
    def _use(self, selector: Any) -> Iterator[tuple[Servable, Card]]:
        name = selector.name or self._models.only_name()
        if not name:
            raise invalid_argument("`model.name` must be given, as there is not exactly one model.")
        choice = selector.WhichOneof("choice")
        chosen = {choice: getattr(selector, choice)} if choice else {}
        with self._models.use(name, **chosen) as servable:
            if servable.card is None:
                raise failed_precondition(
                    f"The model '{name}' has no card, so it is no export of skinzoo. Use the Predict call."
                )
            yield servable, servable.card


def _decoded(case: Any, servable: Servable, timeout: float | None) -> np.ndarray:
    try:
        image = np.array([case.image], dtype=object)
        return np.asarray(servable.run(DECODE, {IMAGE_BYTES: image}, timeout=timeout)[IMAGE])[0]
    except RpcError as error:
        if error.code is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        raise undecodable_case(error.message) from error


def _served(servable: Servable) -> Any:
    return pb.ServedModel(name=servable.name, version=servable.version)
