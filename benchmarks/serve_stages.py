"""What an answer of an export consists of: decoding files, and the network in each engine; images a second.

`jpeg` is the part of `decode` that is no resizing, which takes the rest: antialiased, so that a file of
600 x 450 pixels and a smaller copy of it look the same to the model.

Each stage has all cores to itself, with batches of 32; they take turns. A server that does both, for callers
on the same machine, cannot be faster than `decode` and the network one after the other.

    python benchmarks/serve_stages.py EXPORT
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from record import RESULTS, write_result

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PACKAGES = ("skinzoo", "tensorflow", "openvino")
BATCH, ROUNDS, SECONDS = 32, 5, 2.0
JPEG = "jpeg"


def main() -> None:
    load = os.getloadavg()[0]
    results = measured(stages(Path(sys.argv[1])))
    print(json.dumps(results))
    write_result(RESULTS / "serve-stages.json", results, packages=PACKAGES, load=load)


def stages(export: Path) -> dict[str, Callable[[], Any]]:
    """Return what to do with a batch, by name."""
    import numpy as np
    import tensorflow as tf
    from serve import photographs

    from skinzoo.export import names
    from skinzoo.serving.engines import OPENVINO, PRECISIONS, EngineOptions, open_engine
    from skinzoo.serving.signatures import DEFAULT_TAGS, read_signatures

    photos = photographs()
    files = np.array([photos[number % len(photos)] for number in range(BATCH)], object)
    inputs = {
        names.AGE: np.full(BATCH, 50.0, np.float32),
        names.SEX: np.array([b"female"] * BATCH, object),
        names.LOCALIZATION: np.array([b"back"] * BATCH, object),
    }
    found: dict[str, Callable[[], Any]] = {}
    definitions = read_signatures(export)
    for options in (EngineOptions(), *(EngineOptions(name=OPENVINO, precision=one) for one in PRECISIONS)):
        run = open_engine(options, export, definitions, tags=DEFAULT_TAGS, batching=None, is_export=True).run
        if "decode" not in found:
            found[JPEG] = partial(_jpegs(), tf.constant(photos))
            found["decode"] = partial(run, names.DECODE, {names.IMAGE_BYTES: files})
            inputs[names.IMAGE] = np.asarray(found["decode"]()[names.IMAGE])
        found[f"network, {options}"] = partial(run, names.TENSORS, inputs)
    return found


def _jpegs() -> Callable[[Any], Any]:
    """Return a function of image files that does of their decoding what comes before resizing."""
    import tensorflow as tf

    def corner(file: Any) -> Any:
        return tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE")[:1, :1]

    return tf.function(lambda files: tf.map_fn(corner, files, fn_output_signature=tf.uint8))


def measured(found: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Return images a second of each stage, and what both stages together allow."""
    speeds: dict[str, list[float]] = {name: [] for name in found}
    for step in found.values():
        step()
    for _ in range(ROUNDS):
        for name, step in found.items():
            began, done = time.perf_counter(), 0
            while (took := time.perf_counter() - began) < SECONDS:
                step()
                done += BATCH
            speeds[name].append(done / took)
    middle = {name: round(statistics.median(values), 1) for name, values in speeds.items()}
    decode = middle["decode"]
    both = {
        name.removeprefix("network, "): round(1 / (1 / decode + 1 / value), 1)
        for name, value in middle.items()
        if name not in (JPEG, "decode")
    }
    return {"images_per_second": middle, "decode_and_network": both}


if __name__ == "__main__":
    main()
