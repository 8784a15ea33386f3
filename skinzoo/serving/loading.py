"""Loading a version until it can be relied on: graph, warm-up records, golden cases."""

from __future__ import annotations

import itertools
import logging
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from skinzoo.errors import ModelError
from skinzoo.export import names
from skinzoo.export.golden import Golden, read_golden
from skinzoo.export.openvino import F32
from skinzoo.serving.engines import candidates
from skinzoo.serving.servable import LoadOptions, Servable
from skinzoo.serving.status import RpcError
from skinzoo.serving.warmup import warm_up

__all__ = ["LoadOptions", "load"]

_LOG = logging.getLogger(__name__)


def load(name: str, version: int, path: Path, options: LoadOptions) -> Servable:
    """Return a version that has answered its warm-up records and its golden cases.

    Args:
        name: Name of the model.
        version: Version number.
        path: The version folder.
        options: How it is loaded.

    Raises:
        ModelError: It does not load, or does not answer as it should.
    """
    engines = candidates(options.engine, path)
    for engine, following in itertools.pairwise(engines):
        try:
            return _load(name, version, path, replace(options, engine=engine))
        except ModelError as error:
            _LOG.warning("%s version %s runs in %s: %s", name, version, following, error)
    return _load(name, version, path, replace(options, engine=engines[-1]))


def _load(name: str, version: int, path: Path, options: LoadOptions) -> Servable:
    servable = Servable(name, version, path, options)
    try:
        start = time.monotonic()
        if options.warmup and warm_up(servable, times=options.warmup_times):
            servable.warmup_seconds = time.monotonic() - start
        check_golden(servable)
    except BaseException:
        servable.close()
        raise
    return servable


def check_golden(servable: Servable) -> None:
    """Compare the answers to an export's golden cases with those of its training.

    Raises:
        ModelError: They differ.
    """
    path = servable.path / names.EXTRA_FOLDER / names.GOLDEN_FILE
    if servable.card is None or not path.is_file():
        return
    golden, tolerance = read_golden(path), servable.engine.tolerance
    for signature, inputs, expected in questions(golden):
        if signature not in servable.signatures:
            continue
        try:
            found = servable.run(signature, inputs, output_filter=[names.PROBABILITIES])
        except RpcError as error:
            raise ModelError(
                f"'{servable.path}' must answer its golden cases. Received: {error.message}."
            ) from error
        difference = float(np.abs(found[names.PROBABILITIES] - expected).max())
        # Written so that NaN fails.
        if not difference <= tolerance:
            raise ModelError(
                f"'{servable.path}' must answer its golden cases within {tolerance} in {servable.engine}. "
                f"Received: {difference:.2g} off with {signature}.",
                hint="Leave --mixed-precision out: this network does not bear it."
                if servable.engine.precision != F32
                else "Export the run again with: skinzoo export RUN",
            )


def questions(golden: Golden) -> list[tuple[str, dict[str, np.ndarray], np.ndarray]]:
    """Return signature, inputs and expected probabilities of requests with golden cases."""

    def strings(values: list[bytes]) -> np.ndarray:
        found = np.empty(len(values), object)
        found[:] = values
        return found

    images = {names.IMAGE_BYTES: strings([case.image for case in golden.cases])}
    metadata = {
        names.AGE: np.array([np.nan if case.age is None else case.age for case in golden.cases], np.float32),
        names.SEX: strings([case.sex.encode() for case in golden.cases]),
        names.LOCALIZATION: strings([case.localization.encode() for case in golden.cases]),
    }
    return [
        (names.SERVING, images | metadata, golden.probabilities),
        (names.IMAGE_ONLY, images, golden.image_only),
    ]
