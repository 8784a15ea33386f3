"""The engines, and which of them executes a version."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from skinzoo.errors import UsageError, one_of
from skinzoo.export import names
from skinzoo.export.openvino import BF16, F32
from skinzoo.extras import require
from skinzoo.machine import cores
from skinzoo.serving.batching import Batching
from skinzoo.serving.engine import Engine
from skinzoo.serving.tensorflow_engine import TensorFlowEngine

_LOG = logging.getLogger(__name__)

TENSORFLOW, OPENVINO, AUTO = "tensorflow", "openvino", "auto"
ENGINES = (AUTO, TENSORFLOW, OPENVINO)
PRECISIONS = (F32, BF16)
TOLERANCES = {
    # Far above what a GPU's shorter multiplications change, far below what a mix-up would.
    (TENSORFLOW, F32): 1e-3,
    (OPENVINO, F32): 1e-4,
    # bfloat16 keeps 8 bits of a number. Not every trained network bears that: where one answers differently,
    # its golden cases differ by several times this.
    (OPENVINO, BF16): 0.05,
}
"""How far a probability of a golden case may be from that of the run."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """What executes versions.

    Args:
        name: `tensorflow`, `openvino`, or `auto`: OpenVINO where it is installed, there is no GPU, the model
            converts and its golden cases agree, in `precision` or else in `f32`; else TensorFlow.
        precision: What OpenVINO calculates in, `f32` or `bf16`.
        threads: OpenVINO's threads of a batch; 0 for one.

    Raises:
        UsageError: There is no such engine, or it does not calculate so.
        MissingExtraError: It is not installed.
    """

    name: str = TENSORFLOW
    precision: str = F32
    threads: int = 0

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise one_of("engine", self.name, ENGINES)
        if self.precision not in PRECISIONS:
            raise one_of("precision", self.precision, PRECISIONS)
        if self.precision != F32 and self.name == TENSORFLOW:
            raise UsageError(
                f"TensorFlow must calculate in {F32}. Received: {self.precision}.",
                hint="Choose another engine with --engine openvino.",
            )
        if self.name == OPENVINO:
            require("openvino", extra="openvino", purpose="--engine openvino")

    @property
    def tolerance(self) -> float:
        """Return how far the probabilities of golden cases may be from those of the run."""
        return TOLERANCES[self.name, self.precision]

    @property
    def streams(self) -> int:
        """Return how many batches run best at the same time."""
        return openvino_streams(self.threads) if self.name == OPENVINO else 1

    def __str__(self) -> str:
        return f"{self.name} {self.precision}" if self.name == OPENVINO else self.name


def openvino_streams(threads: int) -> int:
    """Return how many batches OpenVINO runs at the same time, each with this many threads; 0 for one.

    The threads of a batch wait for the slowest of them after each layer, and on the same cores others decode
    images: a batch on each core has nobody to wait for.
    """
    return max(1, cores() // max(1, threads))


def candidates(options: EngineOptions, folder: Path) -> list[EngineOptions]:
    """Return the engines to try for a version, the best first.

    Args:
        options: What was asked for.
        folder: The version folder.
    """
    if options.name != AUTO:
        return [options]
    found = [EngineOptions()]
    # Without golden cases nothing says that another engine gives the same answers.
    provable = (folder / names.EXTRA_FOLDER / names.GOLDEN_FILE).is_file()
    installed = importlib.util.find_spec("openvino") is not None
    if provable and installed and not tf.config.list_physical_devices("GPU"):
        precisions = dict.fromkeys([options.precision, F32])
        found[:0] = [replace(options, name=OPENVINO, precision=one) for one in precisions]
    return found


def open_engine(
    options: EngineOptions,
    folder: Path,
    definitions: Mapping[str, SignatureDef],
    *,
    tags: Collection[str],
    batching: Batching | None,
    is_export: bool,
) -> Engine:
    """Return a version in an engine.

    Args:
        options: Which engine; not `auto`.
        folder: The version folder.
        definitions: Its signatures.
        tags: Tags of the graph.
        batching: How requests are joined to batches; None for not at all.
        is_export: Whether it is an export of skinzoo.

    Raises:
        ModelError: It does not load in this engine.
    """
    networks = None
    if options.name == OPENVINO:
        from skinzoo.serving.openvino_engine import Networks

        networks = Networks(folder, is_export=is_export, precision=options.precision, streams=options.streams)
    return TensorFlowEngine(
        folder, definitions, tags=tags, batching=batching, is_export=is_export, networks=networks
    )
