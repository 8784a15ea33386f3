"""OpenVINO: writing its files and compiling them; shared by export and server. Free of Keras."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

F32, BF16 = "f32", "bf16"


def write_file(saved_model: Path, file: Path) -> None:
    """Convert the default signature of a SavedModel.

    Args:
        saved_model: Its folder.
        file: The `.xml` to write; the weights go beside it as `.bin`.
    """
    openvino = importlib.import_module("openvino")
    # Half precision would halve the file and cost the agreement with Keras.
    openvino.save_model(openvino.convert_model(str(saved_model)), str(file), compress_to_fp16=False)


def compile_file(file: Path, *, precision: str = F32, streams: int = 1) -> Any:
    """Return a model that is ready to be asked on the CPU.

    Args:
        file: What `write_file` wrote.
        precision: What it calculates in, `f32` or `bf16`.
        streams: Batches that run at the same time; they share the cores.
    """
    openvino = importlib.import_module("openvino")
    # Where a processor can, OpenVINO would calculate in bfloat16 unless told otherwise.
    config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if streams > 1:
        config |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": streams}
    return openvino.compile_model(str(file), "CPU", config)
