"""How long `soft_as_coded` takes beside the literal 3-D convolution of the published code, and `soft`.

    python benchmarks/soft_attention.py --runs 30

Forward pass of the whole attention layer on features of shape (32, 7, 7, 960), in tf.function, the
contestants in turn. The literal one is `tf.nn.conv3d` with kernel (C, 3, 3, 1, 16), stride (1, 1, C), SAME,
and the same softmax.

Also states for which numbers of channels TensorFlow's own conv3d returns the sum that defines it.
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
from skinzoo_zoo.attentions.soft_as_coded import SoftAttentionAsCoded, live_rows

SHAPE = (32, 7, 7, 960)
CHANNELS = (64, 128, 176, 192, 512, 576, 672, 960, 1024, 1280, 2048)


def scores_by_conv3d(features, kernel):
    return tf.nn.conv3d(features[..., None], kernel, [1, 1, 1, features.shape[-1], 1], "SAME")[:, :, :, 0]


def agreement() -> list[dict[str, float]]:
    """Compare the literal convolution with the same sum over the rows and channels that meet data."""
    rows = []
    for channels in CHANNELS:
        rng = np.random.default_rng(channels)
        features = tf.constant(rng.normal(size=(2, 7, 7, channels)).astype("float32"))
        kernel = tf.constant(rng.normal(size=(channels, 3, 3, 1, 16)).astype("float32"))
        first, end, above, below = live_rows(7, channels)
        padded = tf.pad(features[..., :3], [[0, 0], [above, below], [1, 1], [0, 0]])
        expected = tf.nn.conv2d(padded, kernel[first:end, :, :, 0], 1, "VALID")
        difference = tf.reduce_max(tf.abs(scores_by_conv3d(features, kernel) - expected))
        rows.append({"channels": channels, "largest_difference": float(difference)})
    return rows


def contestants():
    features = tf.constant(np.random.default_rng(0).normal(size=SHAPE).astype("float32"))
    coded, described = SoftAttentionAsCoded(), SoftAttention()
    coded(features), described(features)

    def literal(x):
        heads = heads_softmax(tf.nn.relu(scores_by_conv3d(x, coded.kernel.value) + coded.bias.value))
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
    agreeing = agreement()
    for row in rows:
        print(f"{row['contestant']:<16}{row['median_ms']:>10.2f} ms{row['ratio_to_literal']:>8.3f}")
    for row in agreeing:
        print(f"{row['channels']:>5} channels: conv3d differs by at most {row['largest_difference']:.2g}")
    write_result(
        arguments.out,
        {
            "shape": SHAPE,
            "runs": arguments.runs,
            "rows": rows,
            "largest_map_difference": difference,
            "tensorflow_conv3d_against_the_definition": agreeing,
        },
        packages=("tensorflow", "keras", "numpy"),
        load=load,
    )


if __name__ == "__main__":
    main()
