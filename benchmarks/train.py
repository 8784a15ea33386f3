"""What training costs: our loop against a bare one, and features computed once against fine-tuning.

Part `steps`: steps a second of `skinzoo train`'s loop against a bare `train_on_batch` loop on the same
compiled model. The two take turns, so that whatever else the machine does strikes both: ratios count, not
absolute numbers. The bare loop has its batches in memory, decoded and augmented before; ours reads them from
the cache of decoded images, augments them, moves the learning rate and reports. Also: seconds from command to
step 1.

Part `frozen`: seconds from the command to the balanced accuracy on the validation part that fine-tuning the
whole network has after its first epoch, by recipe `frozen` and by fine-tuning itself. Images are decoded
before both; computing the features counts.

    python benchmarks/train.py                      # steps: nasnetmobile and mobilenetv3large, batches of 32
    python benchmarks/train.py --part frozen --variants mobilenetv3small --data HAM10000 --weights FILE
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
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from record import RESULTS, write_result

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
PACKAGES = ("skinzoo", "tensorflow", "keras", "numpy")
WANTED_STEPS = 0.97
WANTED_FROZEN = 5.0
DEFAULTS = {"steps": ["nasnetmobile", "mobilenetv3large"], "frozen": ["mobilenetv3small"]}
SCORE = "val_balanced_accuracy"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=("steps", "frozen"), default="steps")
    parser.add_argument("--variants", nargs="+")
    parser.add_argument("--data", default="sample")
    parser.add_argument("--batch-size", type=int, default=32, help="also of fine-tuning in part frozen")
    parser.add_argument("--steps", type=int, default=10, help="steps of each loop in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--weights", default="auto", help="part frozen: the backbone's weights")
    parser.add_argument("--image-size", type=int, help="part frozen: the variant's own unless given")
    parser.add_argument("--set", action="append", default=[], help="part frozen: settings of both runs")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    options.variants = options.variants or DEFAULTS[options.part]
    options.out = options.out or RESULTS / ("train.json" if options.part == "steps" else "frozen.json")
    return options


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
    folder.mkdir()
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
        "reached": median(ratios) >= WANTED_STEPS,
    }


def timed_run(
    variant: str, arguments: list[str], home: Path, ended: Callable[[Mapping[str, Any]], bool]
) -> dict[str, Any]:
    """Return when a training makes its first step and when an epoch ends it, in seconds from the command.

    Args:
        variant: Name of the variant.
        arguments: Further arguments of `skinzoo train`.
        home: Folder of caches and runs.
        ended: Takes each epoch's row of the history; the training is killed where it returns True.

    Returns:
        `first_step`, `epoch_ended` (None if no epoch ended it), `rows`.
    """
    from skinzoo.training.runs import find_run

    folder = home / "runs"
    name = f"run-{time.monotonic_ns()}"
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "skinzoo", "train", variant, *arguments, "--out", str(folder), "--name", name],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"SKINZOO_HOME": str(home)},
    )
    found: dict[str, Any] = {"first_step": None, "epoch_ended": None, "rows": []}
    lines = []
    assert process.stderr is not None
    for line in process.stderr:
        lines.append(line)
        seconds = time.perf_counter() - began
        if ", step 1/" in line and found["first_step"] is None:
            found["first_step"] = seconds
        if line.startswith("epoch ") and ": loss" in line and "step" not in line:
            row = find_run(name, folder).history()[-1]
            found["rows"].append(row)
            if ended(row):
                found["epoch_ended"] = seconds
                break
    process.kill()
    process.wait()
    if found["first_step"] is None:
        raise SystemExit(f"skinzoo train {variant} ended before its first step:\n{''.join(lines)}")
    return found


def measure_frozen(variant: str, options: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Measure how much sooner training on features reaches what an epoch of fine-tuning does."""
    shared = ["--data", options.data, "--weights", options.weights]
    shared += ["--image-size", str(options.image_size)] if options.image_size else []
    shared += [argument for text in options.set for argument in ("--set", text)]
    whole = [
        "--recipe",
        "default",
        "--batch-size",
        str(options.batch_size),
        "--set",
        "training.head_epochs=0",
    ]
    # Decodes the images, which both runs then find decoded.
    timed_run(variant, [*shared, *whole, "--set", "training.steps_per_epoch=2"], home, lambda row: True)
    tuned = timed_run(variant, [*shared, *whole], home, lambda row: True)
    target = tuned["rows"][0][SCORE]
    features = timed_run(variant, [*shared, "--recipe", "frozen"], home, lambda row: row[SCORE] >= target)
    reached = features["epoch_ended"]
    ratio = None if reached is None else tuned["epoch_ended"] / reached
    return {
        "target": {SCORE: target},
        "fine_tuning": {"first_step": tuned["first_step"], "seconds": tuned["epoch_ended"]},
        "frozen": {
            "first_step": features["first_step"],
            "seconds": reached,
            "epochs": len(features["rows"]),
            SCORE: max((row[SCORE] for row in features["rows"]), default=None),
        },
        "ratio": ratio,
        "reached": ratio is not None and ratio >= WANTED_FROZEN,
    }


def measure_steps(variant: str, options: argparse.Namespace, home: Path) -> dict[str, Any]:
    """Measure the loops, and the start of a command that finds its images decoded."""
    found = measure(variant, options, home / "loop")
    arguments = ["--data", options.data, "--weights", "none", "--batch-size", str(options.batch_size)]
    arguments += ["--set", "training.steps_per_epoch=2", "--epochs", "1"]
    timed_run(variant, arguments, home, lambda row: True)
    return found | {"first_step": timed_run(variant, arguments, home, lambda row: True)["first_step"]}


def main() -> None:
    options = parse()
    load = os.getloadavg()[0]
    results = {}
    for variant in options.variants:
        with tempfile.TemporaryDirectory() as folder:
            part = measure_steps if options.part == "steps" else measure_frozen
            results[variant] = part(variant, options, Path(folder))
        print(variant, json.dumps(results[variant]), flush=True)
    wanted = WANTED_STEPS if options.part == "steps" else WANTED_FROZEN
    document = {"wanted_ratio": wanted, "variants": results}
    write_result(options.out, document, packages=PACKAGES, load=load)
    print(f"Written: {options.out}")


if __name__ == "__main__":
    main()
