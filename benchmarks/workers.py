"""What several workers cost: images a second of a training in one process and in workers of this machine.

Both use all cores, in turns; ratios count. Steps of the whole network, from random weights on drawn images.

    python benchmarks/workers.py                      # mobilenetv3small, two workers
    python benchmarks/workers.py --variant cnn --image-size 64 --steps 5 --rounds 1 --out workers.json
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from record import RESULTS, write_result

PACKAGES = ("skinzoo", "tensorflow", "keras", "ray")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variant", default="mobilenetv3small")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=40, help="steps of an epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "workers.json")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    speeds: dict[int, list[float]] = {1: [], options.workers: []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(options.rounds):
            for workers, found in speeds.items():
                found.append(images_per_second(options, workers, Path(folder)))
    ratios = [ours / one for one, ours in zip(speeds[1], speeds[options.workers], strict=True)]
    results = {
        "variant": options.variant,
        "workers": options.workers,
        "image_size": options.image_size,
        "batch_size": options.batch_size,
        "ratio": median(ratios),
        "ratios": ratios,
        "images_per_second": {str(workers): median(found) for workers, found in speeds.items()},
    }
    print(json.dumps(results))
    write_result(options.out, results, packages=PACKAGES, load=load)


def images_per_second(options: argparse.Namespace, workers: int, home: Path) -> float:
    """Train two epochs and return the pace of the second, which no tracing slows."""
    name = f"run-{len(list(home.glob('runs/*')))}"
    settings = (
        f"training.steps_per_epoch={options.steps}",
        "training.head_epochs=0",
        "training.validation_batch_size=8",
    )
    subprocess.run(
        [
            *(sys.executable, "-m", "skinzoo", "train", options.variant, "--data", "sample"),
            *("--epochs", "2", "--weights", "none", "--image-size", str(options.image_size)),
            *("--batch-size", str(options.batch_size), "--workers", str(workers), "--name", name),
            *(word for text in settings for word in ("--set", text)),
        ],
        env=os.environ | {"SKINZOO_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    with (home / "runs" / name / "history.csv").open(encoding="utf-8") as stream:
        return float(list(csv.DictReader(stream))[-1]["images_per_second"])


if __name__ == "__main__":
    main()
