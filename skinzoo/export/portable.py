"""A run as a file of another runtime: LiteRT, ONNX, OpenVINO."""

from __future__ import annotations

import dataclasses
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from skinzoo.data.splits import Split
from skinzoo.errors import DataError, ModelError
from skinzoo.export import names
from skinzoo.export.formats import LITERT_INT8, Format
from skinzoo.export.golden import Golden
from skinzoo.export.parity import Parity
from skinzoo.export.source import Source
from skinzoo.quiet import silenced
from skinzoo.training.prepare import read_cases
from skinzoo.training.runs import SPLIT_FILE

REPRESENTATIVE_CASES = 128
"""Training cases from which the ranges of int8 values are taken."""
_SEED = 0


def check_converter(target: Format) -> None:
    """Check that a format's converter is installed.

    Raises:
        MissingExtraError: It is not.
    """
    from skinzoo.export.converters import CONVERTERS

    CONVERTERS[target.name].check(target.name)


def representative_inputs(run: Source, data: str | None = None) -> dict[str, np.ndarray]:
    """Return cases of a run's training part as inputs of its model.

    Args:
        run: The run.
        data: Where the data lie now; where they were at training unless given.

    Raises:
        DataError: The data are gone, or are not those of the split.
    """
    config = run.folder.config()
    if data is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, path=data))
    try:
        part = read_cases(config, Split.load(run.path / SPLIT_FILE)).part("train")
    except DataError as error:
        raise DataError(
            f"An int8 export must see cases of the run's training part. {error.message}",
            hint="Give the place where the data lie now with --data.",
        ) from error
    return run.inputs(part.sample(min(REPRESENTATIVE_CASES, len(part)), random_state=_SEED))


def write_portable(
    run: Source, folder: Path, target: Format, golden: Golden, *, data: str | None = None
) -> Parity:
    """Write the model of a run in a format and compare it with Keras on golden cases.

    Args:
        run: The run.
        folder: The folder of the file, which does not exist.
        target: The format.
        golden: The golden cases.
        data: Where the data lie now, for the representative cases of int8.

    Raises:
        ModelError: The converter cannot, or the result does not give the probabilities of the run.
        DataError: The data of the representative cases are gone.
    """
    from skinzoo.export.converters import CONVERTERS, inputs_for, write_core

    converter = CONVERTERS[target.name]
    representative = None
    if target.name == LITERT_INT8:
        representative = inputs_for(target, representative_inputs(run, data))
    folder.mkdir(parents=True)
    file = folder / target.file
    cases = inputs_for(target, run.inputs([vars(case) for case in golden.cases]))
    with tempfile.TemporaryDirectory() as scratch:
        core = Path(scratch, "core")
        try:
            with silenced(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write_core(run.model, core, target)
                converter.write(core, file, representative)
                found = converter.load(file)(cases)
        except Exception as error:
            # Converters raise whatever they like.
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise ModelError(
                f"The converter to {target.name} must take the model of '{run.name}'. Received: {said}",
                hint="Nothing was exported. Choose another --format.",
            ) from error
    return _compare(found, golden, target)


def describe_file(target: Format) -> dict[str, Any]:
    """Return what a card says of the inputs and outputs of a file, as JSON."""
    age = "int32 whole years, -1 for unknown" if target.whole_years else "float32 years, NaN for unknown"
    return {
        "format": target.name,
        "files": [target.file, *target.more],
        "batch": 1 if target.one_case else None,
        "inputs": {
            names.IMAGE: "uint8 RGB (batch, size, size, 3), decoded and resized as `image` states",
            names.AGE: age,
            names.SEX: "int32 index into `sex` from 1; 0 for a term outside",
            names.LOCALIZATION: "int32 index into `localization` from 1; 0 for a term outside",
        },
        "outputs": {names.PROBABILITIES: "float32 (batch, classes), uncalibrated"},
    }


def _compare(found: np.ndarray, golden: Golden, target: Format) -> Parity:
    difference = float(np.abs(found - golden.probabilities).max())
    # Not `>`: a NaN must not pass.
    if target.tolerance is not None and not difference <= target.tolerance:
        raise ModelError(
            f"A {target.name} file must give the probabilities of its run to {target.tolerance:g}. Received: "
            f"a difference of {difference:.3g}.",
            hint="Nothing was exported. Choose another --format.",
        )
    if not np.isfinite(found).all():
        raise ModelError(
            f"A {target.name} file must give numbers. Received: NaN.",
            hint="Nothing was exported. Choose another --format.",
        )
    same = int((found.argmax(axis=1) == golden.probabilities.argmax(axis=1)).sum())
    return Parity(len(golden.cases), {target.name: difference}, tolerance=target.tolerance, same_class=same)
