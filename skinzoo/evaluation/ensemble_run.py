"""Saving an ensemble as a run: one model in one directory that everything else takes for a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinzoo.errors import ModelError, UsageError
from skinzoo.evaluation.combine import MEAN, check_method, choose, equal
from skinzoo.evaluation.ensemble import EnsemblePredictor, check_members, validation_of
from skinzoo.evaluation.predictor import Progress, RunPredictor
from skinzoo.files import replacing
from skinzoo.home import runs_folder
from skinzoo.training.environment import describe_environment
from skinzoo.training.runs import (
    CARD_FILE,
    CLASSES_FILE,
    CONFIG_FILE,
    ENVIRONMENT_FILE,
    FORMAT,
    MODEL_FILE,
    check_name,
    create_run,
    on_full_disk,
)
from skinzoo.training.scores import classification_scores

if TYPE_CHECKING:
    from skinzoo.evaluation.combine import Combination
    from skinzoo.runs import Run


@dataclass(frozen=True)
class SavedEnsemble:
    """A saved ensemble.

    Args:
        run: Its run directory.
        combination: How its members are combined.
        scores: Its scores on the validation part, named like those of a training.
        attention: Whether it yields an attention map.
    """

    run: Path
    combination: Combination
    scores: dict[str, float]
    attention: bool


def save_ensemble(
    runs: Sequence[Run],
    name: str,
    *,
    method: str = MEAN,
    data: str | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> SavedEnsemble:
    """Save runs as one run whose model averages theirs; members without a weight are left out of the model.

    Args:
        runs: At least two runs, which decode images alike.
        name: Name of the new run.
        method: `mean`, `weighted` or `subset`; the latter two are chosen on the validation part.
        data: Where the data lie now; where they were at training unless given.
        folder: Folder of runs; the usual one unless given.
        progress: Called with the numbers of images done and of all images, member after member.

    Raises:
        UsageError: There is no such method, the runs do not fit together, or the name is no file name.
        DataError: Classes or splits differ, or the data are not those of the split.
        ModelError: One uint8 image cannot serve all members, or the folder cannot be written.
    """
    from skinzoo.model import attention_model, count_parameters, ensemble_model

    check_members(runs)
    check_method(method)
    check_decodings(runs)
    check_name(name)
    folder = folder or runs_folder()
    if (folder / name).exists():
        raise UsageError(f"`--name` must be new. Received: '{name}', which is there already in {folder}.")
    members = [RunPredictor(run) for run in runs]
    names = [member.name for member in members]
    validation = validation_of(members, data=data, progress=progress)
    combination = equal(names) if method == MEAN else choose(method, names, validation)
    kept = [(run, weight) for run, weight in zip(runs, combination.weights, strict=True) if weight > 0]
    model = ensemble_model([run.model for run, _ in kept], [weight for _, weight in kept])
    scores = {
        f"val_{key}": value
        for key, value in classification_scores(
            validation[0].true, combination([one.probabilities for one in validation])
        ).items()
    }
    predictor = EnsemblePredictor(members, combination)
    card = _card(predictor, name, kept, scores, count_parameters(model))
    config = runs[0].folder.config().as_dict() | {"recipe": predictor.origin.recipe}
    config["model"]["variant"] = predictor.origin.variant
    made = create_run(
        folder,
        name,
        {
            CONFIG_FILE: {
                "format": FORMAT,
                "config": config,
                "recipe_hash": predictor.origin.recipe_hash,
                "resolved": {
                    "variant": card["variant"],
                    "decoding": card["decoding"],
                    "dataset": card["dataset"],
                    "trackers": [],
                    "ensemble": card["ensemble"],
                },
            },
            ENVIRONMENT_FILE: describe_environment(),
            CLASSES_FILE: list(predictor.classes),
        },
        split=predictor.split,
    )
    try:
        with on_full_disk(made.path), replacing(made.path / MODEL_FILE) as temporary:
            model.save(temporary)
        # Last, as it is what makes a run a finished one.
        made.write(CARD_FILE, json.loads(json.dumps(card)))
    except BaseException:
        made.remove()
        raise
    try:
        attention_model(model)
    except ModelError:
        return SavedEnsemble(made.path, combination, scores, attention=False)
    return SavedEnsemble(made.path, combination, scores, attention=True)


def check_decodings(runs: Sequence[Run]) -> None:
    """Check that one uint8 image serves all members.

    Resizing again what was decoded at a larger size gives other pixels than decoding at the smaller size, so
    members of different sizes cannot share one input and keep their own answers.

    Raises:
        ModelError: Size, resize mode or preprocessing steps differ.
    """
    first = runs[0]
    for run in runs[1:]:
        for key, value in first.decoding.as_dict().items():
            other = run.decoding.as_dict()[key]
            if other != value:
                raise ModelError(
                    "The members of a saved ensemble must decode images alike, as its model takes one "
                    f"image. Received: {key} {_said(value)} in '{first.name}' and {_said(other)} in "
                    f"'{run.name}'.",
                    hint=f"Evaluate them together without saving: skinzoo evaluate {first.name} {run.name}",
                )


def _card(
    predictor: EnsemblePredictor,
    name: str,
    kept: Sequence[tuple[Run, float]],
    scores: dict[str, float],
    parameters: Any,
) -> dict[str, Any]:
    split, origin = predictor.split, predictor.origin
    cards = [run.card for run, _ in kept]
    first = cards[0]
    return {
        "format": FORMAT,
        "name": name,
        "intended_use": first["intended_use"],
        "variant": _joined([card["variant"] for card in cards]),
        "classes": list(predictor.classes),
        "parameters": {"trainable": parameters.trainable, "total": parameters.total},
        "weights": {"origin": "ensemble"},
        "recipe": origin.recipe,
        "recipe_hash": origin.recipe_hash,
        "recipe_not_stated": sorted({one for card in cards for one in card["recipe_not_stated"]}),
        "dataset": split.dataset,
        "split": {
            "protocol": split.protocol,
            "seed": split.seed,
            "hash": split.hash,
            "stamps": list(split.stamps),
            "warnings": list(split.warnings),
            "counts": {part: dict(counts) for part, counts in split.counts.items()},
        },
        "left_out": first["left_out"],
        "decoding": first["decoding"],
        "class_weights": None,
        "seed": None,
        "environment": describe_environment(),
        "selection": first["selection"],
        "best_epoch": None,
        "epochs": 0,
        "scores": scores,
        "seconds": round(sum(card["seconds"] for card in cards), 1),
        "ensemble": (origin.ensemble or {})
        | {
            "models": [
                {
                    "name": run.name,
                    "weight": weight,
                    "variant": dict(run.card["variant"]),
                    "recipe_hash": run.card["recipe_hash"],
                    "scores": dict(run.card["scores"]),
                    "model_sha256": hashlib.sha256((run.path / MODEL_FILE).read_bytes()).hexdigest(),
                }
                for run, weight in kept
            ],
        },
    }


def _joined(variants: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return descriptions of variants as one: what is the same once, what is a name joined by ` + `."""
    found = {}
    for key in variants[0]:
        values = list({json.dumps(one.get(key), sort_keys=True): one.get(key) for one in variants}.values())
        if len(values) == 1:
            found[key] = values[0]
        else:
            found[key] = " + ".join(map(str, values)) if isinstance(values[0], str) else values
    return found


def _said(value: object) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)
