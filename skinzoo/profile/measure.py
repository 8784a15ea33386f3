"""Measuring one variant in this process, stage by stage."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skinzoo.profile.request import LEAST_REPEATS, ProfileSettings
from skinzoo.settings import HardwareSettings, OptimizerSettings
from skinzoo.training.hardware import restore_policy, set_up
from skinzoo.variants import resolve_variant

if TYPE_CHECKING:
    import keras

STAGES = ("build", "FLOPs", "latency", "throughput", "training")
MULTIPLY_ADDS = ("Conv2D", "DepthwiseConv2dNative", "MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")
"""Operations whose count is two for each multiplication with its addition."""
_MOVES_DATA = frozenset(
    (
        *(
            "BatchToSpaceND",
            "Cast",
            "ConcatV2",
            "Const",
            "ExpandDims",
            "Fill",
            "GatherV2",
            "Identity",
            "IsNan",
        ),
        *("MirrorPad", "NoOp", "OneHot", "Pack", "Pad", "PadV2", "Placeholder", "Range", "ReadVariableOp"),
        *("Reshape", "ReverseV2", "SelectV2", "Shape", "Slice", "SpaceToBatchND", "Split", "SplitV"),
        *("Squeeze", "StridedSlice", "Tile", "Transpose", "Unpack"),
    )
)


def measure(variant: str, settings: ProfileSettings) -> Iterator[tuple[str, dict[str, Any]]]:
    """Measure a variant.

    Args:
        variant: Name of the variant.
        settings: How.

    Yields:
        Name of a stage before it begins, with all that is known by then.

    Raises:
        SkinzooError: The variant cannot be built.
    """
    row: dict[str, Any] = {
        "variant": variant,
        "measured_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
    yield STAGES[0], row
    resolved = resolve_variant(variant, **settings.choices)
    row["built"] = resolved.describe()
    hardware = set_up(
        HardwareSettings(precision=settings.precision, threads=settings.threads, devices="one"),
        0,
        single=True,
    )
    row |= {"device": hardware.devices[0], "precision": hardware.precision, "threads": _threads()}
    row["memory"] = {"before": peak_memory()}
    yield STAGES[0], row
    try:
        with hardware.strategy.scope():
            yield from _measure(row, resolved, settings)
    finally:
        restore_policy()


def _measure(
    row: dict[str, Any], resolved: Any, settings: ProfileSettings
) -> Iterator[tuple[str, dict[str, Any]]]:
    from skinzoo.model import build_model, count_parameters
    from skinzoo.model.description import count_operations, leaf_layers

    model, _ = build_model(resolved, weights="none")
    counts = count_parameters(model)
    layers = list(leaf_layers(model))
    row |= {
        "parameters": {
            "trainable": counts.trainable,
            "non_trainable": counts.non_trainable,
            "total": counts.total,
        },
        "depth": depth(model),
        "layers": len(layers),
        "bytes": size_of_weights(model),
    }
    yield STAGES[1], row
    row["flops"] = describe_operations(count_operations(model))
    yield STAGES[2], row
    forward = forward_pass(model)
    single = synthetic_inputs(resolved.image_size, 1)
    row["latency"] = timing(lambda: forward(single), 1, settings)
    yield STAGES[3], row
    many = synthetic_inputs(resolved.image_size, settings.batch)
    row["throughput"] = timing(lambda: forward(many), settings.batch, settings)
    row["memory"]["inference"] = peak_memory()
    if settings.training:
        yield STAGES[4], row
        step = training_step(model, many, resolved.classes)
        row["training"] = timing(step, settings.batch, settings)
        row["memory"]["training"] = peak_memory()
    yield "", row


def depth(model: keras.Model) -> int:
    """Return how many layers have weights; Keras Applications states this depth, or one more."""
    from skinzoo.model.description import leaf_layers

    return sum(1 for layer in leaf_layers(model) if layer.trainable_weights or layer.non_trainable_weights)


def size_of_weights(model: keras.Model) -> int:
    """Return the bytes of the weights as they lie in memory; the state of random generators is left out."""
    weights = [*model.trainable_weights, *model.non_trainable_weights]
    return sum(int(np.prod(weight.shape)) * _bytes_of(weight.dtype) for weight in weights)


def describe_operations(counted: Mapping[str, int] | None) -> dict[str, Any] | None:
    """Return the operations of one image's forward pass as JSON.

    Args:
        counted: As `count_operations` gives them.

    Returns:
        `total`, `multiply_adds` (half of what convolutions and matrix products count), `by_operation`, and
        `uncounted`: arithmetic for which the profiler has no rule. None where nothing was counted.
    """
    if counted is None:
        return None
    return {
        "total": sum(counted.values()),
        "multiply_adds": sum(counted.get(name, 0) for name in MULTIPLY_ADDS) // 2,
        "by_operation": {name: count for name, count in counted.items() if count},
        "uncounted": [name for name, count in counted.items() if not count and name not in _MOVES_DATA],
    }


def forward_pass(model: keras.Model) -> Callable[[Mapping[str, np.ndarray]], np.ndarray]:
    """Return a compiled forward pass, from arrays in the host's memory to probabilities there."""
    import tensorflow as tf

    compiled = tf.function(lambda inputs: model(inputs, training=False))

    def forward(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        # Reading the result waits for the device.
        probabilities: np.ndarray = compiled(inputs).numpy()
        return probabilities

    return forward


def training_step(model: keras.Model, inputs: Mapping[str, np.ndarray], classes: int) -> Callable[[], object]:
    """Return a step of training on one batch: forward, backward and update of every trainable weight."""
    import keras

    from skinzoo.training.optimizers import build_optimizer

    settings = OptimizerSettings()
    model.compile(
        optimizer=build_optimizer(settings, settings.learning_rate),
        loss=keras.losses.CategoricalCrossentropy(),
        jit_compile=False,
    )
    count = len(inputs["image"])
    labels = np.eye(classes, dtype=np.float32)[np.arange(count) % classes]
    return lambda: model.train_on_batch(inputs, labels)


def synthetic_inputs(size: int, count: int) -> dict[str, np.ndarray]:
    """Return random images with metadata, as the input of a model.

    Args:
        size: Height and width in pixels.
        count: Number of images.
    """
    random = np.random.default_rng(0)
    return {
        "image": random.integers(0, 256, (count, size, size, 3), dtype=np.uint8),
        "age": np.full(count, 50, np.float32),
        "sex": np.ones(count, np.int32),
        "localization": np.ones(count, np.int32),
    }


def timing(call: Callable[[], object], images: int, settings: ProfileSettings) -> dict[str, Any]:
    """Time a call.

    Args:
        call: What to time; it returns when its work is done.
        images: Images that a call takes.
        settings: Warm-up, repeats and time.

    Returns:
        Median, 90th percentile and extremes in seconds, images a second at the median, and how it was timed.
    """
    for _ in range(settings.warm_up):
        call()
    seconds: list[float] = []
    began = time.perf_counter()
    while len(seconds) < settings.repeats:
        before = time.perf_counter()
        call()
        now = time.perf_counter()
        seconds.append(now - before)
        if len(seconds) >= LEAST_REPEATS and now - began >= settings.seconds:
            break
    median, p90 = (float(value) for value in np.percentile(seconds, [50, 90]))
    return {
        "batch": images,
        "median": median,
        "p90": p90,
        "fastest": min(seconds),
        "slowest": max(seconds),
        "images_per_second": images / median,
        "repeats": len(seconds),
        "warm_up": settings.warm_up,
    }


def peak_memory() -> dict[str, int | None]:
    """Return the most memory that this process has held so far, in bytes.

    Returns:
        `host`, resident memory, and `device`, what TensorFlow allocated on the first GPU; None where the
        system does not say.
    """
    return {"host": _host_peak(), "device": _device_peak()}


def _host_peak() -> int | None:
    # getrusage would count the memory of the process that started this one.
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _device_peak() -> int | None:
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def _threads() -> dict[str, int]:
    import tensorflow as tf

    return {
        "intra_op": tf.config.threading.get_intra_op_parallelism_threads(),
        "inter_op": tf.config.threading.get_inter_op_parallelism_threads(),
    }


def _bytes_of(dtype: str) -> int:
    import tensorflow as tf

    return int(tf.as_dtype(dtype).size)
