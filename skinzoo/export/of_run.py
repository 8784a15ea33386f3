"""Exporting a run: a SavedModel that servers load, or a file of another runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from skinzoo.errors import UsageError
from skinzoo.export import names
from skinzoo.export.card import Card
from skinzoo.export.describe import describe, read_calibration
from skinzoo.export.formats import SAVEDMODEL, format_named
from skinzoo.export.golden import draw_golden
from skinzoo.export.parity import Parity
from skinzoo.export.place import check_model_name, exports_folder, staging
from skinzoo.export.portable import check_converter, describe_file, write_portable
from skinzoo.export.saved_model import (
    add_warmup,
    prove_saved_model,
    signatures_of,
    write_saved_model,
)
from skinzoo.export.source import Source
from skinzoo.export.warmup import DEFAULT_BATCHES, check_batches
from skinzoo.files import write_json
from skinzoo.quiet import import_keras
from skinzoo.training.runs import FINISHED

Step = Callable[[str], None]
"""Called with what begins, in words."""


@dataclass(frozen=True)
class Exported:
    """A finished export.

    Args:
        path: The version folder.
        format: Name of the format.
        card: Its card.
        parity: How closely it agrees with its run.
        size: Bytes of the model's own files, without card, golden cases and warm-up records.
        warmup_records: Requests that a server runs before it is ready.
    """

    path: Path
    format: str
    card: Card
    parity: Parity
    size: int
    warmup_records: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "path": str(self.path),
            "format": self.format,
            "model": self.card.name,
            "version": self.card.version,
            "signatures": sorted(self.card.signatures),
            "bytes": self.size,
            "warmup_records": self.warmup_records,
            "parity": self.parity.to_dict(),
        }


def export_run(
    run: Source,
    base: Path | None = None,
    *,
    format: str = SAVEDMODEL,
    name: str | None = None,
    version: int | None = None,
    warmup_batches: Sequence[int] = DEFAULT_BATCHES,
    data: str | None = None,
    step: Step = lambda _: None,
) -> Exported:
    """Write `<base>/<name>/<version>/`, prove that it answers as the run does, or leave nothing.

    Args:
        run: A finished run.
        base: Folder of models; `$SKINZOO_HOME/exports` unless given, for other formats than SavedModels
            `$SKINZOO_HOME/exports-FORMAT`.
        format: `savedmodel`, `litert`, `litert-int8`, `onnx` or `openvino`.
        name: Name of the model; that of the run's variant unless given.
        version: Version number; the next one unless given.
        warmup_batches: Batch sizes of a SavedModel's warm-up records.
        data: Where the run's data lie now, for the representative cases of int8.
        step: Called with what begins.

    Raises:
        UsageError: Format, name, version or batch sizes cannot be used, or the version exists.
        MissingExtraError: The format's converter is not installed.
        DataError: The data of the representative cases are gone.
        ModelError: The run is not finished, cannot be loaded or converted, the folder cannot be written, or
            the export does not give the run's probabilities.
    """
    if run.folder.state != FINISHED:
        raise run.unfinished()
    target = format_named(format)
    base = exports_folder(target) if base is None else Path(base).expanduser()
    name = model_name(run) if name is None else name
    batches = check_batches(warmup_batches)
    calibration = read_calibration(run)
    with staging(base, name, version, target) as stage:
        import_keras()
        if target.name != SAVEDMODEL:
            check_converter(target)
        step("Loading the run")
        golden = draw_golden(run)
        if target.name == SAVEDMODEL:
            step("Writing the graph")
            write_saved_model(run, stage.path, golden, calibration=calibration)
            size = _size(stage.path)
            step("Asking it in a fresh process")
            parity = prove_saved_model(stage.path, golden)
            records = add_warmup(run, stage.path, golden, model=name, batches=batches)
            beside, signatures, more = stage.path / names.EXTRA_FOLDER, signatures_of(stage.path), {}
        else:
            step(f"Converting to {target.name}")
            parity = write_portable(run, stage.path, target, golden, data=data)
            size = _size(stage.path)
            write_json(stage.path / names.GOLDEN_FILE, golden.to_dict())
            beside, signatures, records = stage.path, {}, 0
            more = {"file": describe_file(target) | {"bytes": size}}
        described = partial(
            describe,
            run,
            name=name,
            calibration=calibration,
            signatures=signatures,
            parity=parity.to_dict(),
        )
        cards: list[Card] = []

        def write_card(settled: int) -> None:
            cards.append(described(version=settled))
            write_json(beside / names.CARD_FILE, cards[-1].to_dict() | more)

        path = stage.keep(write_card)
    return Exported(path, target.name, cards[-1], parity, size, records)


def model_name(run: Source) -> str:
    """Return what a run's model is called unless told otherwise: as its variant, an ensemble as its run."""
    variant = str(run.card["variant"].get("variant", ""))
    try:
        check_model_name(variant)
    except UsageError:
        return run.name
    return variant


def _size(folder: Path) -> int:
    return sum(
        file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file() and file.parent.name != names.EXTRA_FOLDER
    )
