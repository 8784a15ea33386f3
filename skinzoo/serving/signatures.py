"""What a SavedModel's signatures take and give, and whether a request fits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import text_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from skinzoo.errors import ModelError
from skinzoo.export.names import SAVED_MODEL_FILE
from skinzoo.serving.status import failed_precondition, invalid_argument

DEFAULT_SIGNATURE = "serving_default"
DEFAULT_TAGS = ("serve",)
_TEXT_FILE = "saved_model.pbtxt"


def read_signatures(folder: Path, tags: Collection[str] = DEFAULT_TAGS) -> dict[str, SignatureDef]:
    """Return the signatures of the SavedModel in a folder.

    Raises:
        ModelError: There is none, it is damaged, or it has no graph with these tags.
    """
    saved = SavedModel()
    try:
        if (folder / SAVED_MODEL_FILE).is_file():
            saved.ParseFromString((folder / SAVED_MODEL_FILE).read_bytes())
        elif (folder / _TEXT_FILE).is_file():
            text_format.Parse((folder / _TEXT_FILE).read_text(encoding="utf-8"), saved)
        else:
            raise ModelError(
                f"A version folder must hold a {SAVED_MODEL_FILE}. Received: '{folder}' without one.",
                hint="Export the run again with: skinzoo export RUN",
            )
    except (DecodeError, text_format.ParseError, UnicodeDecodeError, OSError) as error:
        raise ModelError(
            f"'{folder / SAVED_MODEL_FILE}' must be a SavedModel. Received: {error}.",
            hint="Export the run again with: skinzoo export RUN",
        ) from error
    found = [set(graph.meta_info_def.tags) for graph in saved.meta_graphs]
    if set(tags) not in found:
        known = "; ".join(", ".join(sorted(one)) for one in found) or "no graph at all"
        raise ModelError(
            f"'{folder}' must hold a graph with the tags {', '.join(sorted(tags))}. Received: {known}.",
            hint="Choose with --saved-model-tags.",
        )
    return dict(saved.meta_graphs[found.index(set(tags))].signature_def)


def find(signatures: Mapping[str, SignatureDef], name: str) -> tuple[str, SignatureDef]:
    """Return the resolved name and the signature of a Predict request.

    Raises:
        RpcError: There is none of that name.
    """
    name = name or DEFAULT_SIGNATURE
    # What begins with underscores initialises the graph.
    if name not in signatures or name.startswith("__"):
        raise failed_precondition(f'Serving signature key "{name}" not found.')
    return name, signatures[name]


def check_names(signature: SignatureDef, received: Collection[str]) -> None:
    """Check that a request has the signature's inputs and no others.

    Raises:
        RpcError: It has not.
    """
    required, given = set(signature.inputs), set(received)
    missing, extra = required - given - set(signature.defaults), given - required
    if missing or extra:
        raise invalid_argument(
            f"input size does not match signature: {len(given)}!={len(required)} "
            f"len({_braces(given)}) != len({_braces(required)}). "
            f"Sent extra: {_braces(extra)}. Missing but required: {_braces(missing)}."
        )


def check_values(signature: SignatureDef, values: Mapping[str, Any]) -> None:
    """Check types and shapes, before a request can reach a batch with others.

    Args:
        signature: The signature.
        values: Input name to array or tensor, of the right names.

    Raises:
        RpcError: One does not fit.
    """
    for position, name in enumerate(sorted(values)):
        expected, value = signature.inputs[name], values[name]
        wanted, given = tf.dtypes.as_dtype(expected.dtype), type_of(value)
        if wanted != given:
            raise invalid_argument(
                f"Expects arg[{position}] to be {_type_name(wanted)} but {_type_name(given)} is provided "
                f"(input '{name}')"
            )
        shape, sizes = tuple(value.shape), [dim.size for dim in expected.tensor_shape.dim]
        if expected.tensor_shape.unknown_rank:
            continue
        if len(shape) != len(sizes) or any(
            want not in (-1, got) for want, got in zip(sizes, shape, strict=True)
        ):
            raise invalid_argument(
                f"Input '{name}' must have shape [{','.join('?' if n < 0 else str(n) for n in sizes)}]. "
                f"Received: [{','.join(map(str, shape))}]."
            )


def check_filter(signature: SignatureDef, wanted: Collection[str]) -> None:
    """Check an output filter.

    Raises:
        RpcError: It names an output twice, or one that does not exist.
    """
    seen: set[str] = set()
    for name in wanted:
        if name not in signature.outputs:
            raise invalid_argument(
                f"output tensor alias not found in signature: {name} "
                f"Outputs expected to be in the set {_braces(signature.outputs)}."
            )
        if name in seen:
            raise invalid_argument(f"duplicate output tensor alias: {name}")
        seen.add(name)


def type_of(value: Any) -> tf.DType:
    """Return the TensorFlow type of an array or tensor."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "OSU":
        return tf.string
    return tf.dtypes.as_dtype(value.dtype)


def _type_name(dtype: tf.DType) -> str:
    # As C++ spells them.
    return {tf.float32: "float", tf.float64: "double"}.get(dtype, dtype.name)


def _braces(names: Collection[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
