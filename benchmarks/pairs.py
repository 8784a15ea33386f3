"""Runs against runs that differ in one thing, on the validation part, with paired intervals.

    python benchmarks/pairs.py RUN,OTHER RUN,OTHER --data DATA --to docs/results/attention.json

Both of a pair must have the same split. A difference is the first run's metric less the other's.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ablation import PACKAGES, skinzoo
from record import write_result

METRICS = ("balanced_accuracy", "macro_f1", "roc_auc_macro", "accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pairs", nargs="+", metavar="RUN,OTHER")
    parser.add_argument("--data", required=True)
    parser.add_argument("--to", type=Path, required=True)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    pairs = [measure(*pair.split(","), data=options.data) for pair in options.pairs]
    write_result(options.to, {"part": "validation", "pairs": pairs}, packages=PACKAGES, load=load)


def measure(run: str, other: str, *, data: str) -> dict[str, Any]:
    """Return the scores of a run and its differences to another."""
    options = ("--part", "validation", "--data", data, "--draws", "2000", "--json")
    found = json.loads(skinzoo("evaluate", run, "--against", other, *options))
    scores, tests = found["by_image"]["overall"], found["against"]["tests"]["differences"]
    return {
        "run": Path(run).name,
        "other": Path(other).name,
        "split": found["provenance"]["split_hash"],
        "scores": {name: scores[name] for name in METRICS},
        "differences": {name: tests[name] for name in METRICS},
    }


if __name__ == "__main__":
    main()
