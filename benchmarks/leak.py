"""What a leaky protocol adds: scores of images whose lesion was trained on, beside those of the others.

    python benchmarks/leak.py RUN... --data PATH/ham10000

Each run must be evaluated. Lesions with several images are those that are hard in both kinds of split, since
they were followed for a reason; so a run on whole lesions shows what such images cost when none of them was
trained on. The result goes to docs/results/leak.json.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from record import RESULTS, write_result

from skinzoo.data.read import read_dataset
from skinzoo.data.splits import Split
from skinzoo.evaluation.evaluate import Provenance, evaluate
from skinzoo.evaluation.predictions import Predictions, read_predictions

METRICS = ("balanced_accuracy", "roc_auc_macro", "accuracy")
LEAST = 100
"""Images below which a kind is left out: its intervals would say nothing."""
PACKAGES = ("skinzoo", "numpy", "scikit-learn")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=RESULTS.parent / "leak.json")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    table = read_dataset(options.data)
    write_result(
        options.out,
        {run.name: measure(run, table.set_index("image_id")["lesion_id"]) for run in options.runs},
        packages=PACKAGES,
        load=load,
    )


def measure(run: Path, lesion_of: pd.Series) -> dict[str, Any]:
    """Return the scores of each kind of image in the part that a run is scored on."""
    split = Split.load(run / "split.json")
    part = split.aliases.get("test", "test")
    predictions = read_predictions(run / "evaluation" / part / "predictions.csv")
    lesions = lesion_of[list(predictions.image_id)].to_numpy()
    trained = set(lesion_of[[image for image, name in split.assignment.items() if name == "train"]])
    in_training = np.isin(lesions, list(trained))
    images = lesion_of.value_counts()
    several = images[lesions].to_numpy() > 1
    kinds = {
        "several images, of which some were trained on": in_training,
        "several images, none trained on": several & ~in_training,
        "one image": ~several,
    }
    return {
        "protocol": split.protocol,
        "split": split.hash,
        "kinds": {name: scores(predictions, mask) for name, mask in kinds.items() if mask.sum() >= LEAST},
    }


def scores(predictions: Predictions, mask: np.ndarray) -> dict[str, Any]:
    """Return the scores of some images with 95 percent bootstrap intervals over lesions."""
    chosen = predictions.rows(np.flatnonzero(mask))
    found = evaluate(chosen, Provenance(name="kind"), subgroups=False).by_image
    intervals = found.intervals.by_metric
    return {
        "images": len(chosen),
        **{
            name: {
                "value": found.scores.overall[name],
                "interval": {"low": intervals[name].low, "high": intervals[name].high},
            }
            for name in METRICS
        },
    }


if __name__ == "__main__":
    main()
