"""Attention, fusion and loss one at a time, on one backbone's cached features, one split and several seeds.

Every run is kept in the folder of runs under a name of its own, so a second call goes on where the first one
stopped. The result file is written anew after each run.

    python benchmarks/ablation.py VARIANT --data DATA --weights FILE --to docs/results/ablation.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import write_result

PACKAGES = ("skinzoo", "tensorflow", "keras", "numpy", "scikit-learn")
BASE = {"attention": "soft", "fusion": "concat4096", "loss": "weighted_ce", "power": "0.5"}
ARMS: dict[str, dict[str, str]] = {
    "base": {},
    "attention none": {"attention": "none"},
    "attention soft_as_coded": {"attention": "soft_as_coded"},
    "attention se": {"attention": "se"},
    "fusion image_only": {"fusion": "image_only"},
    "fusion mlp": {"fusion": "mlp"},
    "loss ce": {"loss": "ce"},
    "loss weighted_ce, full weights": {"power": "1.0"},
    "loss logit_adjusted_ce": {"loss": "logit_adjusted_ce"},
}
SCORES = ("balanced_accuracy", "macro_f1", "accuracy", "roc_auc_macro")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("variant")
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=Path, default=Path("skinzoo-runs"))
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    rows: list[dict[str, Any]] = []
    for seed in arguments.seeds:
        for arm, changes in ARMS.items():
            rows.append(one(arguments, arm, BASE | changes, seed))
            write_result(arguments.to, {"base": BASE, "runs": rows}, packages=PACKAGES, load=load)
            print(json.dumps(rows[-1]), flush=True)


def one(arguments: argparse.Namespace, arm: str, parts: dict[str, str], seed: int) -> dict[str, Any]:
    slug = "-".join(arm.replace(",", "").split())
    name = f"ablation-{arguments.variant}-{slug}-{seed}"
    run = arguments.runs / name
    if not (run / "card.json").exists():
        start = ["--resume", str(run)] if run.exists() else new_run(arguments, parts, seed, name)
        skinzoo("train", *start)
    evaluation = json.loads(skinzoo("evaluate", str(run), "--draws", "2000", "--json"))
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    measured = evaluation["by_image"]
    return {
        "arm": arm,
        "seed": seed,
        "recipe_hash": card["recipe_hash"],
        "split_hash": evaluation["provenance"]["split_hash"],
        "best_epoch": card["best_epoch"],
        "validation": card["scores"],
        "test": {
            key: {"value": measured["overall"][key], **measured["intervals"]["metrics"][key]}
            for key in SCORES
        },
    }


def new_run(arguments: argparse.Namespace, parts: dict[str, str], seed: int, name: str) -> list[str]:
    options = [] if not parts["loss"].startswith("weighted") else [f"loss.options={{power={parts['power']}}}"]
    settings = [f"loss.name={parts['loss']}", *(options or ["loss.options={}"])]
    return [
        arguments.variant,
        *("--data", arguments.data),
        *("--recipe", "frozen"),
        *("--weights", arguments.weights),
        *("--image-size", str(arguments.image_size)),
        *("--attention", parts["attention"]),
        *("--fusion", parts["fusion"]),
        *("--seed", str(seed)),
        *("--out", str(arguments.runs)),
        *("--name", name),
        *(word for setting in settings for word in ("--set", setting)),
    ]


def skinzoo(*words: str) -> str:
    done = subprocess.run(["skinzoo", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"skinzoo {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
