"""The formats of an export; free of TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from skinzoo.errors import one_of

SAVEDMODEL, LITERT, LITERT_INT8, ONNX, OPENVINO = "savedmodel", "litert", "litert-int8", "onnx", "openvino"
SAVED_MODEL_FILE = "saved_model.pb"


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format.

    Args:
        name: What `--format` calls it.
        file: The file that a version folder of this format has.
        more: Further files of the model.
        tolerance: Largest difference to Keras that is let pass; None where it is only measured.
        one_case: Whether it takes one case a call rather than a batch.
        whole_years: Whether `age` is int32 with -1 for unknown rather than float32 with NaN.
    """

    name: str
    file: str
    more: tuple[str, ...] = ()
    tolerance: float | None = 1e-4
    one_case: bool = False
    whole_years: bool = False


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format(name=SAVEDMODEL, file=SAVED_MODEL_FILE, tolerance=1e-5),
        Format(name=LITERT, file="model.tflite", one_case=True),
        # A quantised graph knows no NaN, and leaves int32 as it is.
        Format(name=LITERT_INT8, file="model.tflite", tolerance=None, one_case=True, whole_years=True),
        Format(name=ONNX, file="model.onnx"),
        Format(name=OPENVINO, file="model.xml", more=("model.bin",)),
    )
}


def format_named(name: str) -> Format:
    """Return a format.

    Raises:
        UsageError: There is none of this name.
    """
    if name not in FORMATS:
        raise one_of("format", name, FORMATS)
    return FORMATS[name]
