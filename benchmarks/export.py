"""Size, speed and accuracy of a run's exports against Keras, on cases of its validation part.

Usage: python benchmarks/export.py RUN [--cases 300] [--formats litert-int8 openvino] [--data PATH]
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from record import RESULTS, write_result

import skinzoo
from skinzoo.data.splits import Split
from skinzoo.export.formats import FORMATS, SAVEDMODEL
from skinzoo.runs import Run
from skinzoo.training.prepare import read_cases
from skinzoo.training.runs import SPLIT_FILE

PACKAGES = ("skinzoo", "tensorflow", "keras", "ai-edge-litert", "onnxruntime", "tf2onnx", "openvino", "numpy")
SEED = 0
TIMED = 50
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--cases", type=int, default=300)
    parser.add_argument("--formats", nargs="+", default=[name for name in FORMATS if name != SAVEDMODEL])
    parser.add_argument("--data")
    parser.add_argument("--to", type=Path, default=RESULTS / "export.json")
    given = parser.parse_args()
    load = os.getloadavg()[0]
    run = skinzoo.load_run(given.run)
    inputs, labels = validation_cases(run, given.cases, given.data)

    def keras(cases: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(run.model.predict_on_batch(cases))

    truth = in_batches(keras, inputs)
    results: dict[str, Any] = {
        "run": {key: run.card[key] for key in ("name", "recipe", "dataset", "weights")},
        "split_hash": run.card["split"]["hash"],
        "part": "validation",
        "cases": len(labels),
        "keras": {"accuracy": accuracy(truth, labels), **single_speed(keras, inputs)},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in given.formats:
            print(name, flush=True)
            results[name] = measure(run, name, Path(folder), inputs, labels, truth, given.data, keras)
            print(results[name], flush=True)
    write_result(given.to, results, packages=PACKAGES, load=load)


def validation_cases(run: Run, count: int, data: str | None) -> tuple[dict[str, np.ndarray], np.ndarray]:
    config = run.folder.config()
    if data is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, path=data))
    part = read_cases(config, Split.load(run.path / SPLIT_FILE)).part("validation")
    part = part.sample(min(count, len(part)), random_state=SEED)
    return run.inputs(part), np.array([run.classes.index(label) for label in part["label"]])


def measure(
    run: Run,
    name: str,
    folder: Path,
    inputs: dict[str, np.ndarray],
    labels: np.ndarray,
    truth: np.ndarray,
    data: str | None,
    keras: Callable[[dict[str, np.ndarray]], np.ndarray],
) -> dict[str, Any]:
    from skinzoo.export.converters import CONVERTERS, inputs_for

    target = FORMATS[name]
    exported = run.export(folder / name, format=name, data=data)
    answer = CONVERTERS[name].load(exported.path / target.file)
    cases = inputs_for(target, inputs)
    found = in_batches(answer, cases)
    same = found.argmax(axis=1) == truth.argmax(axis=1)
    # One after the other, so that other work on the machine slows both.
    before = single_speed(keras, inputs)["milliseconds_a_case"]
    here = single_speed(answer, cases)["milliseconds_a_case"]
    after = single_speed(keras, inputs)["milliseconds_a_case"]
    return {
        "bytes": exported.size,
        "golden_parity": exported.parity.to_dict(),
        "largest_difference": float(np.abs(found - truth).max()),
        "mean_difference": float(np.abs(found - truth).mean()),
        "accuracy": accuracy(found, labels),
        "accuracy_difference": accuracy(found, labels) - accuracy(truth, labels),
        "same_class": int(same.sum()),
        "milliseconds_a_case": here,
        "keras_milliseconds_a_case": [before, after],
        "speed_ratio_to_keras": (before + after) / 2 / here,
    }


def in_batches(
    answer: Callable[[dict[str, np.ndarray]], np.ndarray], inputs: dict[str, np.ndarray]
) -> np.ndarray:
    count = len(inputs["image"])
    return np.concatenate(
        [
            answer({name: values[start : start + BATCH] for name, values in inputs.items()})
            for start in range(0, count, BATCH)
        ]
    )


def single_speed(
    answer: Callable[[dict[str, np.ndarray]], np.ndarray], inputs: dict[str, np.ndarray]
) -> dict[str, float]:
    """Return the median time of a single case, decoding left out; the first calls do not count."""
    times = []
    for number in range(TIMED + 5):
        place = number % len(inputs["image"])
        case = {name: values[place : place + 1] for name, values in inputs.items()}
        begin = time.perf_counter()
        answer(case)
        times.append(time.perf_counter() - begin)
    return {"milliseconds_a_case": 1000 * float(np.median(times[5:]))}


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


if __name__ == "__main__":
    main()
