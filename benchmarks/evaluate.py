"""How fast a run is evaluated: predicting beside the bare model, and metrics with intervals.

    python benchmarks/evaluate.py                      # all 10,015 images of HAM10000
    python benchmarks/evaluate.py --limit 320 --variant mobilenetv2

Reads HAM10000 from `data/ham10000` of $SKINZOO_TEST_SHARED, or of `../shared`. Both predict the same
number of images and take turns; medians of the rounds are compared.

* Predicting: `predict_external` from the cache, against `predict_on_batch` on one batch again and again.
  Target: at least 0.9 of the bare model.
* Metrics and 1,000 bootstrap draws of 10,015 x 7 predictions. Target: under 10 seconds of processor time.

The table is printed and written to docs/results/benchmarks/evaluate.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from record import RESULTS, ROOT, write_result

BATCH = 32
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PACKAGES = ("skinzoo", "tensorflow", "keras", "numpy", "pandas", "scikit-learn", "scipy")


def trained(variant: str, folder: Path):
    from skinzoo.config import make_config
    from skinzoo.runs import load_run
    from skinzoo.training.trainer import train

    settings = [
        "data.dataset=sample",
        "data.options.images=90",
        "data.protocol_options.folds=3",
        "training.batch_size=8",
        "training.epochs=1",
        "model.weights=none",
    ]
    config = make_config(variant, recipe="default", assignments=settings)
    return load_run(train(config, folder=folder, name="benchmark").run)


def predicting(variant: str, limit: int | None, rounds: int) -> dict[str, float]:
    from skinzoo.data.cache import cached_images
    from skinzoo.data.read import read_dataset
    from skinzoo.data.table import fingerprint
    from skinzoo.evaluation.of_run import predict_table

    shared = Path(os.environ.get("SKINZOO_TEST_SHARED", ROOT.parent / "shared"))
    table = read_dataset(shared / "data" / "ham10000")
    if limit is not None:
        table = table.sample(limit, random_state=0).sort_index().reset_index(drop=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SKINZOO_HOME"] = folder
        run = trained(variant, Path(folder) / "runs")
        cached_images(table, run.decoding, fingerprint=fingerprint(table))
        size = run.decoding.size
        batch = {
            "image": np.zeros((BATCH, size, size, 3), np.uint8),
            "age": np.full(BATCH, 50, np.float32),
            "sex": np.ones(BATCH, np.int32),
            "localization": np.ones(BATCH, np.int32),
        }
        run.model.predict_on_batch(batch)
        ours, bare = [], []
        for _ in range(rounds):
            start = time.perf_counter()
            predict_table(run, table, table, batch_size=BATCH)
            ours.append(len(table) / (time.perf_counter() - start))
            start = time.perf_counter()
            for _ in range(len(table) // BATCH):
                run.model.predict_on_batch(batch)
            bare.append(len(table) // BATCH * BATCH / (time.perf_counter() - start))
    ours_median, bare_median = statistics.median(ours), statistics.median(bare)
    return {
        "images": len(table),
        "images_per_second": round(ours_median, 2),
        "bare_model_images_per_second": round(bare_median, 2),
        "ratio": round(ours_median / bare_median, 3),
    }


def measuring() -> dict[str, float]:
    from skinzoo.evaluation.intervals import DRAWS, bootstrap
    from skinzoo.evaluation.metrics import compute_scores
    from skinzoo.evaluation.predictions import make_predictions

    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(len(CLASSES)), 10_015)
    table = {name: probabilities[:, i] for i, name in enumerate(CLASSES)}
    table |= {
        "image_id": [f"i{i}" for i in range(10_015)],
        "lesion_id": [f"l{i}" for i in rng.integers(7_470, size=10_015)],
        "true": rng.choice(CLASSES, 10_015),
    }
    predictions = make_predictions(table)
    wall, processor = time.perf_counter(), time.process_time()
    compute_scores(predictions)
    bootstrap(predictions)
    return {
        "cases": 10_015,
        "draws": DRAWS,
        "seconds": round(time.perf_counter() - wall, 2),
        "processor_seconds": round(time.process_time() - processor, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="mobilenetv2")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "evaluate.json")
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    results = {
        "metrics_and_intervals": measuring(),
        "predicting": {"variant": chosen.variant, **predicting(chosen.variant, chosen.limit, chosen.rounds)},
    }
    for name, values in results.items():
        print(name, *(f"{key} {value}" for key, value in values.items()), sep="  ")
    write_result(chosen.out, results, packages=PACKAGES, load=load)


if __name__ == "__main__":
    main()
