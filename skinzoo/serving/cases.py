"""Cases of the typed service: checked one by one, run together, answered one by one."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
import numpy as np
from PIL import Image

from skinzoo.data.images import TooManyPixelsError, inspect_bytes
from skinzoo.errors import DataError
from skinzoo.export.card import Card
from skinzoo.export.names import (
    ABSTAIN,
    AGE,
    CALIBRATED,
    DECODE,
    IMAGE,
    IMAGE_BYTES,
    LOCALIZATION,
    PROBABILITIES,
    SERVING,
    SEX,
    TENSORS,
)
from skinzoo.serving.limits import Limits
from skinzoo.serving.servable import Servable
from skinzoo.serving.status import RpcError
from skinzoo.v1 import lesion_classifier_pb2 as pb
from skinzoo.vocabulary import AGE_RANGE, outside

OUTPUTS = (PROBABILITIES, CALIBRATED, ABSTAIN)
# The whole request is to be tried again, or has no one left who waits for it.
_OF_THE_SERVER = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.NOT_FOUND,
    }
)


class CaseProblem(Exception):  # noqa: N818
    """Why one case has no answer.

    Args:
        code: `CaseError.Code`.
        message: The reason.
    """

    def __init__(self, code: pb.CaseError.Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def result(self, case_id: str) -> pb.CaseResult:
        """Return it as the result of a case."""
        return pb.CaseResult(id=case_id, error=pb.CaseError(code=self.code, message=self.message))


def check_case(case: pb.Case, limits: Limits) -> None:
    """Check a case before anything is computed.

    Raises:
        CaseProblem: It cannot be used.
    """
    if case.HasField("age") and not math.isnan(case.age) and not AGE_RANGE[0] <= case.age <= AGE_RANGE[1]:
        raise CaseProblem(
            pb.CaseError.INVALID_METADATA,
            f"`age` must be within {AGE_RANGE[0]:g}..{AGE_RANGE[1]:g} years or absent. "
            f"Received: {case.age:g}.",
        )
    if len(case.image) > limits.image_bytes:
        raise CaseProblem(
            pb.CaseError.IMAGE_TOO_LARGE,
            f"An image must have at most {limits.image_bytes:,} bytes. Received: {len(case.image):,}.",
        )
    try:
        inspect_bytes(case.image, max_pixels=limits.pixels)
    except TooManyPixelsError as error:
        raise CaseProblem(pb.CaseError.IMAGE_TOO_LARGE, error.message) from error
    except DataError as error:
        raise CaseProblem(pb.CaseError.INVALID_IMAGE, error.message) from error
    if limits.decode:
        try:
            with Image.open(io.BytesIO(case.image)) as image:
                image.load()
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise undecodable_case(str(error)) from error


def undecodable_case(reason: str) -> CaseProblem:
    """Return the problem of an image whose header is fine and whose pixels are not."""
    return CaseProblem(
        pb.CaseError.INVALID_IMAGE,
        f"An image must be one that can be decoded. Received: {_first_line(reason)}",
    )


def warnings_of(case: pb.Case, card: Card) -> list[str]:
    """Return what is to be said about a case that can be used."""
    told = (
        outside(SEX, case.sex, card.sex) if card.sex else None,
        outside(LOCALIZATION, case.localization, card.localization) if card.localization else None,
    )
    return [text for text in told if text is not None]


def answer(
    cases: Sequence[pb.Case], servable: Servable, card: Card, limits: Limits, *, timeout: float | None = None
) -> list[pb.CaseResult]:
    """Return one result for each case, in order.

    Raises:
        RpcError: Nothing can be answered now, whatever the cases are.
    """
    results: list[pb.CaseResult | None] = []
    for case in cases:
        try:
            check_case(case, limits)
        except CaseProblem as problem:
            results.append(problem.result(case.id))
        else:
            results.append(None)
    left = [number for number, result in enumerate(results) if result is None]
    for start in range(0, len(left), limits.batch):
        numbers = left[start : start + limits.batch]
        outcomes = _run([cases[i] for i in numbers], servable, timeout)
        for number, outcome in zip(numbers, outcomes, strict=True):
            case = cases[number]
            results[number] = (
                outcome.result(case.id)
                if isinstance(outcome, CaseProblem)
                else pb.CaseResult(id=case.id, classification=classification(outcome, case, card))
            )
    return [result for result in results if result is not None]


def classification(row: Mapping[str, Any], case: pb.Case, card: Card) -> pb.Classification:
    """Return what the outputs for one case say.

    Args:
        row: Output name to the values of this case.
        case: The case.
        card: The model's card.
    """
    probabilities = np.asarray(row[PROBABILITIES], np.float32)
    found = pb.Classification(
        probabilities=probabilities.tolist(),
        predicted_class=card.classes[int(probabilities.argmax())],
        warnings=warnings_of(case, card),
    )
    if CALIBRATED in row:
        found.calibrated.extend(np.asarray(row[CALIBRATED], np.float32).tolist())
    if ABSTAIN in row:
        found.abstain = bool(row[ABSTAIN])
    return found


def inputs_of(cases: Sequence[pb.Case]) -> dict[str, np.ndarray]:
    """Return cases as the inputs of `serving_default`."""
    return {
        IMAGE_BYTES: np.array([case.image for case in cases], dtype=object),
        AGE: np.array([case.age if case.HasField("age") else math.nan for case in cases], np.float32),
        SEX: np.array([case.sex.encode() for case in cases], dtype=object),
        LOCALIZATION: np.array([case.localization.encode() for case in cases], dtype=object),
    }


def _run(
    cases: Sequence[pb.Case], servable: Servable, timeout: float | None
) -> list[Mapping[str, Any] | CaseProblem]:
    """Return the outputs for each case, or why there are none."""
    inputs = inputs_of(cases)
    if not (DECODE in servable.signatures and TENSORS in servable.signatures):
        return _isolated(servable, SERVING, inputs, OUTPUTS, timeout)
    decoded = _isolated(servable, DECODE, {IMAGE_BYTES: inputs.pop(IMAGE_BYTES)}, (IMAGE,), timeout)
    good = [i for i, one in enumerate(decoded) if not isinstance(one, CaseProblem)]
    outcomes: list[Mapping[str, Any] | CaseProblem] = list(decoded)
    if good:
        ready = {name: values[good] for name, values in inputs.items()}
        ready[IMAGE] = np.stack([decoded[i][IMAGE] for i in good])  # type: ignore[index]
        for i, row in zip(good, _isolated(servable, TENSORS, ready, OUTPUTS, timeout), strict=True):
            outcomes[i] = row
    return outcomes


def _isolated(
    servable: Servable,
    signature: str,
    inputs: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    timeout: float | None,
) -> list[Mapping[str, Any] | CaseProblem]:
    """Run a signature; where a case spoils the batch, halves run on their own until it is alone."""
    count = len(next(iter(inputs.values())))
    wanted = [name for name in outputs if name in servable.signatures[signature].outputs]
    try:
        found = servable.run(signature, inputs, output_filter=wanted, timeout=timeout)
    except RpcError as error:
        if error.code in _OF_THE_SERVER:
            raise
        if count == 1:
            return [_problem(signature, error)]
        middle = count // 2
        return [
            row
            for part in (slice(0, middle), slice(middle, count))
            for row in _isolated(
                servable, signature, {key: value[part] for key, value in inputs.items()}, outputs, timeout
            )
        ]
    arrays = {name: np.asarray(found[name]) for name in wanted}
    return [{name: values[i] for name, values in arrays.items()} for i in range(count)]


def _problem(signature: str, error: RpcError) -> CaseProblem:
    if signature != TENSORS and error.code is grpc.StatusCode.INVALID_ARGUMENT:
        return undecodable_case(error.message)
    return CaseProblem(pb.CaseError.INTERNAL, _first_line(error.message) or error.code.name)


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:300]
