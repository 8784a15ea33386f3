"""Steps a second of `skinzoo train`'s loop against a bare `train_on_batch` loop on the same compiled model.

The two take turns, so that whatever else the machine does strikes both: ratios count, not absolute numbers.
The bare loop has its batches in memory, decoded and augmented before; ours reads them from the cache of
decoded images, augments them, moves the learning rate and reports. Also stated: seconds from the command to
the end of the first step.

    python benchmarks/train.py                      # nasnetmobile and mobilenetv3large, batches of 32
    python benchmarks/train.py --variants cnn --batch-size 8 --steps 10 --rounds 2 --out train.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
RESULTS = Path(__file__).resolve().parent.parent / "docs" / "results" / "benchmarks" / "train.json"
WANTED = 0.97


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--variants", nargs="+", default=["nasnetmobile", "mobilenetv3large"])
    parser.add_argument("--data", default="sample")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10, help="steps of each loop in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS)
    return parser.parse_args()


def prepared(variant: str, options: argparse.Namespace, folder: Path) -> Any:
    """Return our loop, ready to step, with the model, images and hardware that it uses."""
    from skinzoo.training import prepare
    from skinzoo.training.hardware import set_up
    from skinzoo.training.listener import Listener
    from skinzoo.training.loop import Loop
    from skinzoo.training.request import TrainRequest, resolve_request
    from skinzoo.training.runs import RunFolder
    from skinzoo.training.schedule import phases
    from skinzoo.training.signals import StopRequest
    from skinzoo.training.source import Source

    config, _ = resolve_request(
        TrainRequest(
            variant=variant,
            data=options.data,
            options={
                "training": {
                    "batch_size": options.batch_size,
                    "epochs": options.rounds + 1,
                    "steps_per_epoch": options.steps,
                    "head_epochs": 0,
                },
                "model": {"weights": "none"},
            },
        )
    )
    cases = prepare.read_cases(config)
    resolved = prepare.resolve(config, cases)
    hardware = set_up(config.hardware, 0)
    images = prepare.load_images(config, cases, resolved.image_size)
    model, _, _ = prepare.build(config, resolved, cases)
    loss, _ = prepare.build_loss(config, cases)
    train = prepare.training_batches(config, cases, images)
    labels = prepare.one_hot(cases.part("validation"), cases.classes)
    source = Source(
        model, train, prepare.validation_batches(config, cases, images), labels, train.order.length
    )
    return Loop(
        RunFolder(folder),
        config,
        source,
        phases(config, pretrained=False),
        loss=loss,
        hardware=hardware,
        callbacks=[],
        listener=Listener(),
        stop=StopRequest(lambda text: None),
    )


def measure(variant: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure both loops in turns."""
    loop = prepared(variant, options, folder)
    batches = [
        tuple(part if isinstance(part, dict) else part.numpy() for part in batch)
        for batch in loop.source.train.epochs(0, 1)
    ]
    batches = [({k: v.numpy() for k, v in inputs.items()}, labels) for inputs, labels in batches]
    loop.begin(loop.phases[0])
    for inputs, labels in batches[:2]:
        loop.model.train_on_batch(inputs, labels)
    loop.steps_of_epoch()
    ours, bare = [], []
    for round_number in range(options.rounds):
        for first in (round_number % 2, 1 - round_number % 2):
            began = time.perf_counter()
            if first:
                loop.steps_of_epoch()
                ours.append(options.steps / (time.perf_counter() - began))
            else:
                for inputs, labels in batches:
                    loop.model.train_on_batch(inputs, labels)
                bare.append(options.steps / (time.perf_counter() - began))
    ratios = [one / other for one, other in zip(ours, bare, strict=True)]
    return {
        "batch_size": options.batch_size,
        "ratio": median(ratios),
        "ratios": ratios,
        "ours_steps_per_second": median(ours),
        "bare_steps_per_second": median(bare),
        "reached": median(ratios) >= WANTED,
    }


def seconds_to_first_step(variant: str, options: argparse.Namespace, home: Path) -> float:
    """Return how long a command takes to the end of its first step, with decoded images there already."""
    run = home / "first-step"
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "skinzoo", "train", variant, "--data", options.data, "--weights", "none",
         "--batch-size", str(options.batch_size), "--out", str(home), "--name", run.name,
         "--set", "training.checkpoint_minutes=0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while not list((run / "checkpoints").glob("state-*")):
        if process.poll() is not None:
            raise SystemExit(f"skinzoo train {variant} ended before its first step")
        time.sleep(0.01)
    seconds = time.perf_counter() - began
    process.kill()
    process.wait()
    return seconds


def main() -> None:
    options = parse()
    from skinzoo.files import write_json
    from skinzoo.training.environment import describe_environment

    results = {}
    for variant in options.variants:
        with tempfile.TemporaryDirectory() as folder:
            results[variant] = measure(variant, options, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            results[variant]["seconds_to_first_step"] = seconds_to_first_step(variant, options, Path(folder))
        print(variant, json.dumps(results[variant]))
    write_json(
        options.out, {"environment": describe_environment(), "wanted_ratio": WANTED, "results": results}
    )
    print(f"Written: {options.out}")


if __name__ == "__main__":
    main()
