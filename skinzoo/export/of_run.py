"""Exporting a run as a SavedModel that TensorFlow Serving and skinzoo's own server load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinzoo.export import names
from skinzoo.export.card import Card
from skinzoo.export.describe import describe, read_calibration
from skinzoo.export.golden import draw_golden
from skinzoo.export.parity import Parity, prove
from skinzoo.export.place import check_model_name, exports_folder, staging
from skinzoo.export.warmup import DEFAULT_BATCHES, check_batches, write_warmup
from skinzoo.files import write_json
from skinzoo.quiet import import_keras
from skinzoo.training.runs import FINISHED

if TYPE_CHECKING:
    from skinzoo.runs import Run

Step = Callable[[str], None]
"""Called with what begins, in words."""


@dataclass(frozen=True)
class Exported:
    """A finished export.

    Args:
        path: The version folder.
        card: Its card.
        parity: How closely it agrees with its run.
        size: Bytes of all its files.
        warmup_records: Requests that a server runs before it is ready.
    """

    path: Path
    card: Card
    parity: Parity
    size: int
    warmup_records: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "path": str(self.path),
            "format": "savedmodel",
            "model": self.card.name,
            "version": self.card.version,
            "signatures": sorted(self.card.signatures),
            "bytes": self.size,
            "warmup_records": self.warmup_records,
            "parity": self.parity.to_dict(),
        }


def export_run(
    run: Run,
    base: Path | None = None,
    *,
    name: str | None = None,
    version: int | None = None,
    warmup_batches: Sequence[int] = DEFAULT_BATCHES,
    step: Step = lambda _: None,
) -> Exported:
    """Write `<base>/<name>/<version>/`, prove that it answers as the run does, or leave nothing.

    Args:
        run: A finished run.
        base: Folder of models; `$SKINZOO_HOME/exports` unless given.
        name: Name of the model; that of the run's variant unless given.
        version: Version number; the next one unless given.
        warmup_batches: Batch sizes of the warm-up records.
        step: Called with what begins.

    Raises:
        UsageError: Name, version or batch sizes cannot be used, or the version exists.
        ModelError: The run is not finished, cannot be loaded, or the export does not give its probabilities.
    """
    if run.folder.state != FINISHED:
        raise run.unfinished()
    base = exports_folder() if base is None else Path(base).expanduser()
    name = model_name(run) if name is None else name
    batches = check_batches(warmup_batches)
    calibration = read_calibration(run)
    with staging(base, name, version) as (stage, keep):
        import_keras()
        from skinzoo.export.graph import ServingGraph

        step("Loading the run")
        graph = ServingGraph(
            run.model,
            decoding=run.decoding,
            vocabularies=run.vocabularies,
            classes=run.classes,
            calibration=calibration,
        )
        golden = draw_golden(run)
        step("Writing the graph")
        graph.write(stage.path)
        extra = stage.path / names.EXTRA_FOLDER
        extra.mkdir()
        write_json(extra / names.GOLDEN_FILE, golden.to_dict())
        step("Asking it in a fresh process")
        parity = prove(stage.path, extra / names.GOLDEN_FILE, golden)
        pixels = run.inputs([vars(case) for case in golden.cases])[names.IMAGE]
        records = write_warmup(extra / names.WARMUP_FILE, golden, model=name, pixels=pixels, batches=batches)
        card = describe(
            run,
            name=name,
            version=stage.version,
            calibration=calibration,
            signatures=signatures_of(stage.path),
            parity=parity.to_dict(),
        )
        write_json(extra / names.CARD_FILE, card.to_dict())
        path = keep()
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return Exported(path, card, parity, size, records)


def model_name(run: Run) -> str:
    """Return what a run's model is called unless told otherwise: as its variant, an ensemble as its run."""
    from skinzoo.errors import UsageError

    variant = str(run.card["variant"].get("variant", ""))
    try:
        check_model_name(variant)
    except UsageError:
        return run.name
    return variant


def signatures_of(folder: Path) -> dict[str, Any]:
    """Return the signatures of a SavedModel as JSON: name to inputs and outputs with type and shape."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.dtypes import as_dtype

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((folder / names.SAVED_MODEL_FILE).read_bytes())

    def tensors(found: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: {
                "dtype": as_dtype(value.dtype).name,
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
