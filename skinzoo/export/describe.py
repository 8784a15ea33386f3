"""What the card of an export says, gathered from the run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from skinzoo import __version__
from skinzoo.data.splits import Split
from skinzoo.errors import ModelError, SkinzooError
from skinzoo.export import names
from skinzoo.export.card import Card
from skinzoo.export.source import Source
from skinzoo.registry import registry
from skinzoo.specs import BackboneSpec, DatasetSpec
from skinzoo.training.runs import SPLIT_FILE

CALIBRATION_FILE = Path("evaluation", "calibration.json")
REPORT_FILE = Path("evaluation", "test", "report.json")
CODE_LICENCE = "Apache-2.0"
NOT_STATED = "not stated"


def read_calibration(run: Source) -> dict[str, Any] | None:
    """Return what `evaluate --calibrate` fitted for a run; None where nothing was.

    Raises:
        ModelError: The file is damaged or of other classes.
    """
    if not (run.path / CALIBRATION_FILE).exists():
        return None
    found: dict[str, Any] = run.folder.document(str(CALIBRATION_FILE))
    try:
        fitted = found["calibration"]
        classes = tuple(fitted["classes"])
        if any(len(fitted[key]) != len(classes) for key in ("scale", "shift")):
            raise TypeError("not one scale and one shift a class")
        if found.get("abstention") is not None:
            float(found["abstention"]["threshold"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"'{run.path / CALIBRATION_FILE}' must be a calibration. Received: {error!r}.",
            hint="Fit it again with: skinzoo evaluate RUN --calibrate temperature",
        ) from error
    if classes != run.classes:
        raise ModelError(
            f"A calibration must be of the run's classes, {', '.join(run.classes)}. Received: "
            f"{', '.join(classes)} in '{run.path / CALIBRATION_FILE}'.",
            hint="Fit it again with: skinzoo evaluate RUN --calibrate temperature",
        )
    return found


def describe(
    run: Source,
    *,
    name: str,
    version: int,
    calibration: Mapping[str, Any] | None,
    signatures: Mapping[str, Any],
    parity: Mapping[str, Any],
) -> Card:
    """Return the card of an export of a run."""
    from skinzoo.model import metadata_encoder

    card = run.card
    return Card(
        name=name,
        version=version,
        intended_use=card["intended_use"],
        classes=run.classes,
        image=run.decoding.as_dict(),
        sex=run.vocabularies.sex.terms,
        localization=run.vocabularies.localization.terms,
        uses_metadata=metadata_encoder(run.model) is not None,
        has_attention=names.EXPLAIN in signatures,
        variant=card["variant"],
        training=_training(card, Split.load(run.path / SPLIT_FILE)),
        evaluation=_evaluation(run),
        calibration=calibration,
        licence=_licences(card),
        signatures=signatures,
        parity=parity,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        skinzoo=__version__,
    )


def _training(card: Mapping[str, Any], made: Split) -> dict[str, Any]:
    split = card["split"]
    return {
        "run": card["name"],
        "dataset": card["dataset"],
        "protocol": split["protocol"],
        # What it takes to make the split again where its file is not at hand.
        "split_seed": made.seed,
        "split_options": dict(made.options),
        "stamps": split["stamps"],
        "warnings": split["warnings"],
        "counts": split["counts"],
        "split_hash": split["hash"],
        "recipe": card["recipe"],
        "recipe_hash": card["recipe_hash"],
        "seed": card.get("seed"),
        "weights": card.get("weights"),
        "scores": card["scores"],
        "ensemble": card.get("ensemble"),
    }


def _evaluation(run: Source) -> dict[str, Any] | None:
    """Return the scores of the test part with their intervals, and of which cases they are."""
    if not (run.path / REPORT_FILE).exists():
        return None
    report = run.folder.document(str(REPORT_FILE))
    try:
        measured = report["by_image"]
        stated = ("part", "dataset", "protocol", "split_hash", "recipe_hash", "stamps", "leaky", "steps")
        return {
            **{key: report["provenance"][key] for key in stated},
            "cases": measured["cases"],
            "overall": measured["overall"],
            "per_class": measured["per_class"],
            "support": measured["support"],
            "intervals": measured["intervals"],
            "caveats": report["caveats"],
        }
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"'{run.path / REPORT_FILE}' must be a report of an evaluation. Received: one without {error}.",
            hint="Evaluate the run again with: skinzoo evaluate RUN",
        ) from error


def _licences(card: Mapping[str, Any]) -> dict[str, str]:
    trained_from = (card.get("weights") or {}).get("origin")
    weights = "trained from random weights"
    if trained_from != "none":
        weights = _licence_of(BackboneSpec, card["variant"].get("backbone"))
    return {"code": CODE_LICENCE, "weights": weights, "data": _licence_of(DatasetSpec, card["dataset"])}


def _licence_of(kind: type[Any], name: str | None) -> str:
    try:
        return str(registry().get(kind, name).licence) if name else NOT_STATED
    except SkinzooError:
        # A run outlives the plugin that read its data.
        return NOT_STATED
