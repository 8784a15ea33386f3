"""What the default recipe's choices do in fine-tuning: short trainings, scored on the validation part only.

Every run is kept under a name of its own, so a second call goes on where the first one stopped. The result
file is written anew after each run.

    python benchmarks/arms.py VARIANT --data DATA --weights FILE --to docs/results/arms.json
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from pathlib import Path
from typing import Any

from ablation import PACKAGES, skinzoo
from record import write_result

PAPERS_SHAPE = "the papers' cut, pooling and fusion"
FLIPS = ("augmentation.rotation=0", "augmentation.shift=0", "augmentation.zoom=0")
DIHEDRAL = (*FLIPS, "augmentation.quarter_turns=true")
ARMS: dict[str, tuple[str, ...]] = {
    "base": (),
    "flips only": FLIPS,
    "flips only, attention soft": (*FLIPS, "model.attention=soft"),
    "flips and quarter turns": DIHEDRAL,
    "flips and quarter turns, attention soft": (*DIHEDRAL, "model.attention=soft"),
    "flips and quarter turns, half of the epochs on smaller images": (*DIHEDRAL, "training.small_epochs=2"),
    "loss logit_adjusted_ce": ("loss.name=logit_adjusted_ce", "loss.options={tau=1.0}"),
    PAPERS_SHAPE: (),
}
SHAPE = ("--cut", "whole", "--pooling", "gap", "--fusion", "mlp")
# Of what the recipe has since taken from the arms, the base has none.
BASE = (
    *(
        "model.attention=none",
        "training.head_epochs=0",
        "training.small_epochs=0",
        "schedule.warmup_epochs=0",
    ),
    *("augmentation.quarter_turns=false", "augmentation.rotation=180", "augmentation.shift=0.1"),
)
VALIDATION = ("val_loss", "val_accuracy", "val_balanced_accuracy", "val_macro_f1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variant")
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--image-size", type=int, default=112)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--runs", type=Path, default=Path("skinzoo-runs"))
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    rows: list[dict[str, Any]] = []
    for arm in arguments.arms:
        rows.append(one(arguments, arm))
        results = {"epochs": arguments.epochs, "image_size": arguments.image_size, "runs": rows}
        write_result(arguments.to, results, packages=PACKAGES, load=load)
        print(json.dumps(rows[-1]), flush=True)


def one(arguments: argparse.Namespace, arm: str) -> dict[str, Any]:
    slug = "-".join(arm.replace(",", "").replace("'", "").split())
    run = arguments.runs / f"arm-{arguments.variant}-{slug}-{arguments.seed}"
    if not (run / "card.json").exists():
        start = ["--resume", str(run)] if run.exists() else new_run(arguments, arm, run)
        skinzoo("train", *start)
    found = json.loads(skinzoo("evaluate", str(run), "--part", "validation", "--draws", "2000", "--json"))
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    with (run / "history.csv").open(encoding="utf-8") as stream:
        last = list(csv.DictReader(stream))[-1]
    measured = found["by_image"]
    return {
        "arm": arm,
        "seed": arguments.seed,
        "recipe_hash": card["recipe_hash"],
        "split_hash": found["provenance"]["split_hash"],
        "last_epoch": {name: float(last[name]) for name in ("loss", *VALIDATION)},
        "best_epoch": card["best_epoch"],
        "roc_auc_macro": {
            "value": measured["overall"]["roc_auc_macro"],
            **measured["intervals"]["metrics"]["roc_auc_macro"],
        },
    }


def new_run(arguments: argparse.Namespace, arm: str, run: Path) -> list[str]:
    return [
        arguments.variant,
        *("--data", arguments.data, "--weights", arguments.weights),
        *("--image-size", str(arguments.image_size), "--epochs", str(arguments.epochs)),
        *("--seed", str(arguments.seed), "--out", str(run.parent), "--name", run.name),
        *(papers_shape(arguments.variant) if arm == PAPERS_SHAPE else SHAPE),
        *(word for setting in (*BASE, *ARMS[arm]) for word in ("--set", setting)),
    ]


def papers_shape(variant: str) -> list[str]:
    [shown] = json.loads(skinzoo("show", variant, "--json"))["parts"]
    return [
        "--cut",
        shown["resolved"]["cut"]["name"],
        "--pooling",
        shown["pooling"],
        "--fusion",
        shown["fusion"],
    ]


if __name__ == "__main__":
    main()
