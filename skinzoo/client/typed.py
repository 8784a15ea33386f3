"""The typed service's side of a conversation."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from skinzoo.client.api import Api, Call, Conversation
from skinzoo.client.cases import Case, Explanation, ReadyCase, Result
from skinzoo.client.model import Model
from skinzoo.client.options import Selector
from skinzoo.errors import ServingError
from skinzoo.export.card import parse_card
from skinzoo.v1 import lesion_classifier_pb2 as pb

_SERVICE = "/skinzoo.v1.LesionClassifier/"
STREAM_METHOD = _SERVICE + "ClassifyStream"


class TypedApi(Api):
    """`skinzoo.v1.LesionClassifier`."""

    def describe(self) -> Conversation[Model]:
        """Ask for the model's card."""
        request = pb.GetModelCardRequest(model=selector_message(self.selector))
        response = yield Call(_SERVICE + "GetModelCard", request, pb.GetModelCardResponse)
        return Model(
            name=response.model.name,
            version=response.model.version,
            classes=tuple(response.classes),
            sex=tuple(response.sex_vocabulary),
            localization=tuple(response.localization_vocabulary),
            image_size=response.image_size,
            has_calibration=response.has_calibration,
            has_attention=response.has_attention,
            card=parse_card(response.card_json, source="card_json") if response.card_json else None,
        )

    def request(self, cases: Sequence[ReadyCase]) -> Call:
        """Return a Classify request."""
        request = pb.ClassifyRequest(model=selector_message(self.selector), cases=map(case_message, cases))
        return Call(_SERVICE + "Classify", request, pb.ClassifyResponse)

    def results(self, response: Any, cases: Sequence[ReadyCase]) -> list[Result]:
        """Return the results of a Classify response."""
        if len(response.results) != len(cases):
            raise ServingError(
                f"A server must answer every case. Received: {len(response.results)} results for "
                f"{len(cases)} cases."
            )
        return [result_of(one, response.model, tuple(response.classes)) for one in response.results]

    def explain(self, case: ReadyCase) -> Conversation[Explanation]:
        """Ask for the overlay and the attention map."""
        request = pb.ExplainRequest(model=selector_message(self.selector), case=case_message(case))
        response = yield Call(_SERVICE + "Explain", request, pb.ExplainResponse)
        width = response.attention_width
        values = tuple(response.attention)
        return Explanation(
            result=result_of(response.result, response.model, tuple(response.classes)).of(case),
            overlay_png=response.overlay_png,
            attention=tuple(values[i : i + width] for i in range(0, len(values), width)) if width else (),
        )


class StreamFeed:
    """The two directions of a stream: cases to requests, and responses to results.

    Args:
        api: The service.
        cases: The cases.
        check: Returns a case that can be sent, or the result of one that cannot.
    """

    def __init__(
        self,
        api: TypedApi,
        cases: Iterable[Case],
        check: Callable[[Case], ReadyCase | Result],
    ) -> None:
        self.failure: Exception | None = None
        """What the iterable of cases raised, which gRPC would only log."""
        self._api = api
        self._cases = cases
        self._check = check
        self._slots: deque[ReadyCase | Result] = deque()
        self._first: Any = None
        self._answered = 0
        self._sent = 0

    def requests(self) -> Iterator[Any]:
        """Return the requests."""
        try:
            for case in self._cases:
                yield self.request(case)
        except Exception as error:
            self.failure = error
            raise

    def request(self, case: Case) -> Any:
        """Return the request of the next case."""
        slot = self._check(case)
        self._slots.append(slot)
        self._sent += 1
        # A case that cannot be sent still takes its place, so that the order of the answers tells all.
        return pb.ClassifyStreamRequest(
            model=selector_message(self._api.selector) if self._sent == 1 else None,
            case=case_message(slot) if isinstance(slot, ReadyCase) else pb.Case(),
        )

    def result(self, response: Any) -> Result:
        """Return the next result.

        Raises:
            ServingError: A result is missing or out of order.
        """
        if self._first is None:
            self._first = response
        if response.sequence != self._answered or not self._slots:
            raise ServingError(
                f"A stream must be answered in order. Received: result {response.sequence} "
                f"in place of {self._answered}."
            )
        self._answered += 1
        slot = self._slots.popleft()
        if isinstance(slot, Result):
            return slot
        return result_of(response.result, self._first.model, tuple(self._first.classes)).of(slot)


def case_message(case: ReadyCase) -> Any:
    """Return a case as a message."""
    return pb.Case(
        id=case.id,
        image=case.image,
        age=None if math.isnan(case.age) else case.age,
        sex=case.sex,
        localization=case.localization,
    )


def result_of(message: Any, model: Any, classes: tuple[str, ...]) -> Result:
    """Return a result from its message."""
    facts = {"id": message.id, "model": model.name, "version": model.version, "classes": classes}
    if message.WhichOneof("outcome") != "classification":
        return Result(**facts, error=message.error.message or pb.CaseError.Code.Name(message.error.code))
    found = message.classification
    return Result(
        **facts,
        probabilities=tuple(found.probabilities),
        predicted_class=found.predicted_class,
        calibrated=tuple(found.calibrated),
        abstain=found.abstain if found.HasField("abstain") else None,
        warnings=tuple(found.warnings),
    )


def selector_message(selector: Selector) -> Any:
    """Return which model answers as a message."""
    message = pb.ModelSelector(name=selector.name)
    if selector.version is not None:
        message.version = selector.version
    elif selector.label:
        message.label = selector.label
    return message
