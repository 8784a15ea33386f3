"""How long `soft_as_coded` takes beside the literal 3-D convolution of the published code, and `soft`.

    python benchmarks/soft_attention.py --runs 30

Forward pass of the whole attention layer on features of shape (32, 7, 7, 960), in tf.function, the
contestants in turn. The literal one is `tf.nn.conv3d` with kernel (C, 3, 3, 1, 16), stride (1, 1, C), SAME,
and the same softmax.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from record import RESULTS, write_result
from skinzoo_zoo.attentions.base import heads_softmax
from skinzoo_zoo.attentions.soft import SoftAttention
from skinzoo_zoo.attentions.soft_as_coded import SoftAttentionAsCoded

SHAPE = (32, 7, 7, 960)


def contestants():
    features = tf.constant(np.random.default_rng(0).normal(size=SHAPE).astype("float32"))
    coded, described = SoftAttentionAsCoded(), SoftAttention()
    coded(features), described(features)

    def literal(x):
        scores = tf.nn.conv3d(x[..., None], coded.kernel.value, [1, 1, 1, SHAPE[-1], 1], "SAME")
        heads = heads_softmax(tf.nn.relu(scores[:, :, :, 0] + coded.bias.value))
        attention = tf.reduce_sum(heads, axis=-1)
        return x * attention[..., None], attention

    functions = {"literal conv3d": literal, "soft_as_coded": coded.__call__, "soft": described.__call__}
    return features, {name: tf.function(function) for name, function in functions.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=30, help="rounds (default: 30)")
    parser.add_argument("--out", type=Path, default=RESULTS / "soft_attention.json")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    features, functions = contestants()
    times: dict[str, list[float]] = {name: [] for name in functions}
    outputs = {name: function(features)[1].numpy() for name, function in functions.items()}
    for _ in range(arguments.runs):
        for name, function in functions.items():
            start = time.perf_counter()
            function(features)[1].numpy()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(values) for name, values in times.items()}
    rows = [
        {
            "contestant": name,
            "median_ms": round(1000 * median, 3),
            "ratio_to_literal": round(median / medians["literal conv3d"], 3),
        }
        for name, median in medians.items()
    ]
    difference = float(np.abs(outputs["soft_as_coded"] - outputs["literal conv3d"]).max())
    for row in rows:
        print(f"{row['contestant']:<16}{row['median_ms']:>10.2f} ms{row['ratio_to_literal']:>8.3f}")
    write_result(
        arguments.out,
        {"shape": SHAPE, "runs": arguments.runs, "rows": rows, "largest_map_difference": difference},
        packages=("tensorflow", "keras", "numpy"),
        load=load,
    )


if __name__ == "__main__":
    main()
