"""Evaluated runs as `skinzoo evaluate` leaves them, from predictions that tests choose."""

import json

import numpy as np
from evaluation_cases import simulated

from skinzoo.evaluation.evaluate import Provenance, evaluate
from skinzoo.evaluation.predictions import write_predictions
from skinzoo.files import write_json
from skinzoo.variants import resolve_variant

HASH = "fedc" * 16
OTHER = "0123" * 16
CASES = simulated(300, seed=5, sharpness=3, lesions=200)


def spoilt(share, seed=0):
    """Predictions of the same images of which a share points elsewhere."""
    chosen = np.random.default_rng(seed).random(len(CASES)) < share
    rolled = np.roll(CASES.probabilities, 1, axis=1)
    return CASES.with_probabilities(np.where(chosen[:, None], rolled, CASES.probabilities))


def provenance(name, **stated):
    return Provenance(
        **{
            "name": name,
            "variant": "mobilenetv3small",
            "recipe": "default",
            "recipe_hash": "0011223344556677",
            "dataset": "ham10000",
            "protocol": "lesion",
            "split_hash": HASH,
            "part": "test",
            **stated,
        }
    )


def card_of(name, **choices):
    return {
        "name": name,
        "classes": list(CASES.classes),
        "seed": 0,
        "parameters": {"total": 990_010, "trainable": 979_239},
        "variant": resolve_variant("mobilenetv3small", **choices).describe(),
    }


def write_run(folder, name, predictions, *, aliases=None, place="test", choices=None, **stated):
    """Write a finished run with one evaluation, or add an evaluation to it."""
    run = folder / name
    write_json(run / "config.json", {"format": 1})
    write_json(run / "split.json", {"aliases": aliases or {}})
    write_json(run / "card.json", card_of(name, **(choices or {})))
    if predictions is not None:
        found = evaluate(predictions, provenance(name, **stated), draws=100, subgroups=False)
        write_json(run / "evaluation" / place / "report.json", found.to_dict())
        write_predictions(predictions, run / "evaluation" / place / "predictions.csv")
    return run


def write_results(folder, name, predictions, **stated):
    """Write a folder of results: a card and an evaluation, without predictions."""
    found = evaluate(predictions, provenance(name, **stated), draws=100, subgroups=False)
    write_json(folder / name / "card.json", card_of(name))
    write_json(folder / name / "evaluation.json", found.to_dict())
    return folder / name


def changed(file, change):
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))
