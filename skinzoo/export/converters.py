"""Converting a model to a file of another runtime, and asking that runtime."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from skinzoo.export import names
from skinzoo.export.formats import LITERT, LITERT_INT8, ONNX, OPENVINO, Format
from skinzoo.export.openvino import compile_file, write_file
from skinzoo.extras import require
from skinzoo.model import metadata_encoder

Inputs = Mapping[str, np.ndarray]
Answer = Callable[[Inputs], np.ndarray]
"""Takes the inputs of a file of some format, returns probabilities `(cases, classes)`."""

UNKNOWN_AGE = -1
_OPSET = 18


@dataclass(frozen=True)
class Converter:
    """How a format is written and run.

    Args:
        extra: The extra of skinzoo that brings what it needs.
        modules: What it needs, as import names.
        write: Takes the SavedModel of `write_core`, the file to write, and the representative cases.
        load: Takes the file, returns what answers.
    """

    extra: str
    modules: tuple[str, ...]
    write: Callable[[Path, Path, Inputs | None], None]
    load: Callable[[Path], Answer]

    def check(self, name: str) -> None:
        """Check that all that it needs is installed.

        Raises:
            MissingExtraError: It is not.
        """
        for module in self.modules:
            require(module, extra=self.extra, purpose=f"--format {name}")


def write_core(model: keras.Model, folder: Path, target: Format) -> None:
    """Write the bare model as a SavedModel: decoded images and indices in, probabilities out.

    Args:
        model: A model of `create_model`.
        folder: A folder that does not exist.
        target: The format that it is converted to.
    """
    batch = 1 if target.one_case else None
    age = tf.int32 if target.whole_years else tf.float32
    specs = [
        tf.TensorSpec((batch, *model.input[names.IMAGE].shape[1:]), tf.uint8, names.IMAGE),
        tf.TensorSpec((batch,), age, names.AGE),
        tf.TensorSpec((batch,), tf.int32, names.SEX),
        tf.TensorSpec((batch,), tf.int32, names.LOCALIZATION),
    ]

    def answer(
        image: tf.Tensor, age: tf.Tensor, sex: tf.Tensor, localization: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        if target.whole_years:
            # The mean becomes 0 after scaling, as an unknown age does. A quantised graph knows no NaN.
            age = tf.where(age < 0, mean, tf.cast(age, tf.float32))
        inputs = {names.IMAGE: image, names.AGE: age, names.SEX: sex, names.LOCALIZATION: localization}
        return {names.PROBABILITIES: model(inputs, training=False)}

    encoder = metadata_encoder(model)
    mean = 0.0 if encoder is None else float(encoder.age_mean)
    archive = keras.export.ExportArchive()
    archive.add_endpoint(names.SERVING, answer, input_signature=specs)
    archive.write_out(str(folder), verbose=False)


def inputs_for(target: Format, inputs: Inputs) -> dict[str, np.ndarray]:
    """Return inputs of a model, as `Run.inputs` gives them, in the form that a format takes."""
    if not target.whole_years:
        return dict(inputs)
    age = inputs[names.AGE]
    years = np.where(np.isnan(age), UNKNOWN_AGE, np.rint(age)).astype(np.int32)
    return {**inputs, names.AGE: years}


def _one_by_one(inputs: Inputs) -> Iterator[dict[str, np.ndarray]]:
    for number in range(len(inputs[names.IMAGE])):
        yield {name: values[number : number + 1] for name, values in inputs.items()}


def _write_litert(core: Path, file: Path, representative: Inputs | None) -> None:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(core), signature_keys=[names.SERVING])
    if representative is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            (names.SERVING, case) for case in _one_by_one(representative)
        )
        # Integer kernels where there are some; what has none, as the metadata encoder, stays in float32.
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]
    file.write_bytes(converter.convert())


def _load_litert(file: Path) -> Answer:
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(str(file))
    runner = interpreter.get_signature_runner(names.SERVING)
    # A converter drops inputs that change nothing, such as metadata that no fusion takes.
    taken = set(runner.get_input_details())
    return lambda inputs: np.concatenate(
        [
            runner(**{name: value for name, value in case.items() if name in taken})[names.PROBABILITIES]
            for case in _one_by_one(inputs)
        ]
    )


def _write_onnx(core: Path, file: Path, representative: Inputs | None) -> None:
    tf2onnx = importlib.import_module("tf2onnx.convert")
    # Kept, since a signature does not keep the variables that it uses.
    loaded = tf.saved_model.load(str(core))
    function = loaded.signatures[names.SERVING]
    specs = tuple(function.structured_input_signature[1].values())
    tf2onnx.from_function(
        tf.function(lambda *values: function(**{s.name: v for s, v in zip(specs, values, strict=True)})),
        input_signature=specs,
        opset=_OPSET,
        output_path=str(file),
    )


def _load_onnx(file: Path) -> Answer:
    runtime = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    taken = {one.name for one in session.get_inputs()}
    return lambda inputs: session.run(
        [names.PROBABILITIES], {name: value for name, value in inputs.items() if name in taken}
    )[0]


def _write_openvino(core: Path, file: Path, representative: Inputs | None) -> None:
    write_file(core, file)


def _load_openvino(file: Path) -> Answer:
    compiled = compile_file(file)
    taken = {name for port in compiled.inputs for name in port.get_names()}
    return lambda inputs: compiled({name: value for name, value in inputs.items() if name in taken})[
        names.PROBABILITIES
    ]


CONVERTERS: dict[str, Converter] = {
    LITERT: Converter("litert", ("ai_edge_litert",), _write_litert, _load_litert),
    LITERT_INT8: Converter("litert", ("ai_edge_litert",), _write_litert, _load_litert),
    ONNX: Converter("onnx", ("onnx", "onnxruntime", "tf2onnx"), _write_onnx, _load_onnx),
    OPENVINO: Converter("openvino", ("openvino",), _write_openvino, _load_openvino),
}
