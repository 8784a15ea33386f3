"""A run as a SavedModel, with warm-up records and the proof that it answers as the run does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skinzoo.errors import ModelError
from skinzoo.export import names
from skinzoo.export.golden import Golden
from skinzoo.export.parity import Parity, prove
from skinzoo.export.source import Source
from skinzoo.export.warmup import write_warmup
from skinzoo.files import write_json
from skinzoo.quiet import silenced


def write_saved_model(
    run: Source, folder: Path, golden: Golden, *, calibration: Mapping[str, Any] | None
) -> None:
    """Write graph, variables and golden cases.

    Args:
        run: The run.
        folder: A folder that does not exist.
        golden: The golden cases.
        calibration: `Calibrated.parameters()` of the run; None where it carries none.

    Raises:
        ModelError: It cannot be written, as on a full disk.
    """
    import tensorflow as tf

    from skinzoo.export.graph import ServingGraph

    graph = ServingGraph(
        run.model,
        decoding=run.decoding,
        vocabularies=run.vocabularies,
        classes=run.classes,
        calibration=calibration,
    )
    try:
        with silenced():
            graph.write(folder)
    except tf.errors.OpError as error:
        raise ModelError(
            f"An export must be written whole. Received: {' '.join(error.message.split())[:300]}.",
            hint="Make room, or choose another folder with --to.",
        ) from error
    write_json(folder / names.EXTRA_FOLDER / names.GOLDEN_FILE, golden.to_dict())


def prove_saved_model(folder: Path, golden: Golden) -> Parity:
    """Ask what `write_saved_model` wrote in a fresh process; see `prove`."""
    return prove(folder, folder / names.EXTRA_FOLDER / names.GOLDEN_FILE, golden)


def add_warmup(run: Source, folder: Path, golden: Golden, *, model: str, batches: Sequence[int]) -> int:
    """Write the warm-up records of a SavedModel and return their number.

    Args:
        run: The run.
        folder: The SavedModel.
        golden: Cases that fill the batches.
        model: Name of the model.
        batches: Batch sizes; none for no records.
    """
    if not batches:
        return 0
    pixels = run.inputs([vars(case) for case in golden.cases])[names.IMAGE]
    file = folder / names.EXTRA_FOLDER / names.WARMUP_FILE
    return write_warmup(file, golden, model=model, pixels=pixels, batches=batches)


def signatures_of(folder: Path) -> dict[str, Any]:
    """Return the signatures of a SavedModel as JSON: name to inputs and outputs with type and shape."""
    from tensorflow import dtypes
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / names.SAVED_MODEL_FILE).read_bytes())

    def tensors(found: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: {
                "dtype": dtypes.as_dtype(value.dtype).name,
                # -1 stands for any length, as the batch has.
                "shape": [one.size for one in value.tensor_shape.dim],
            }
            for key, value in sorted(found.items())
        }

    return {
        name: {"inputs": tensors(signature.inputs), "outputs": tensors(signature.outputs)}
        for name, signature in sorted(saved.meta_graphs[0].signature_def.items())
        if not name.startswith("__")
    }
