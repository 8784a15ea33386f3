"""TensorFlow executes a SavedModel, joining concurrent requests to batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from skinzoo.errors import ModelError
from skinzoo.export import names
from skinzoo.serving.batching import Batching
from skinzoo.serving.functions import (
    Batched,
    Direct,
    Flat,
    FromFiles,
    Function,
    Signature,
    with_constants,
)
from skinzoo.serving.status import from_tensorflow


class Networks(Protocol):
    """Runs the networks of a SavedModel outside of TensorFlow."""

    def flats(self, signatures: Mapping[str, Signature]) -> dict[str, Flat]:
        """Return the signatures whose network it runs, with what runs them.

        Raises:
            ModelError: It can run none.
        """


class TensorFlowEngine:
    """A SavedModel in this process.

    Args:
        folder: The version folder.
        definitions: Its signatures.
        tags: Tags of the graph.
        batching: How requests are joined to batches; None for not at all.
        is_export: Whether it is an export of skinzoo.
        networks: What runs the networks instead of TensorFlow; None for nothing.

    Raises:
        ModelError: It does not load, or not with these networks.
    """

    def __init__(
        self,
        folder: Path,
        definitions: Mapping[str, SignatureDef],
        *,
        tags: Collection[str],
        batching: Batching | None = None,
        is_export: bool = False,
        networks: Networks | None = None,
    ) -> None:
        try:
            self._loaded = tf.saved_model.load(str(folder), tags=list(tags))
        except Exception as error:  # TensorFlow raises whatever a damaged file leads it to.
            raise ModelError(
                f"'{folder}' must be a SavedModel that loads. Received: {_first_line(error)}",
                hint="If it is an export, make it again with: skinzoo export RUN",
            ) from error
        signatures = {
            name: Signature(function, definitions[name])
            for name, function in self._loaded.signatures.items()
            if name in definitions
        }
        self._functions: dict[str, Function] = dict(signatures)
        self._batched: list[Batched] = []
        is_export = is_export and {names.TENSORS, names.DECODE} <= signatures.keys()
        flats = networks.flats(signatures) if networks is not None else {}
        if is_export:
            self._load_export(signatures, batching, flats.get(names.TENSORS))
            return
        for name, signature in signatures.items():
            if batching is not None and signature.can_be_batched:
                self._functions[name] = self._batch(Batched(signature, batching, flat=flats.get(name)))
            elif name in flats:
                self._functions[name] = Direct(signature, flats[name])

    def run(self, signature: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Return all outputs of a signature; see `Engine`."""
        function = self._functions[signature]
        try:
            found = function({name: tf.convert_to_tensor(value) for name, value in inputs.items()})
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        return {name: _array(value) for name, value in found.items()}

    def close(self) -> None:
        """Give the queues back."""
        for batched in self._batched:
            batched.close()
        self._batched = []

    def _batch(self, batched: Batched) -> Batched:
        self._batched.append(batched)
        return batched

    def _load_export(
        self, signatures: Mapping[str, Signature], batching: Batching | None, flat: Flat | None
    ) -> None:
        pixels = signatures[names.TENSORS]
        if batching is not None:
            joined: Batched | Direct = self._batch(
                Batched(pixels, batching, flat=flat or with_constants(pixels))
            )
        elif flat is not None:
            joined = Direct(pixels, flat)
        else:
            return
        self._functions[names.TENSORS] = joined
        for name in (names.SERVING, names.IMAGE_ONLY):
            if name in signatures:
                self._functions[name] = FromFiles(
                    signatures[name], signatures[names.DECODE], pixels, joined.queue
                )


def _array(tensor: tf.Tensor) -> np.ndarray:
    value = tensor.numpy()
    # A single string comes as `bytes`, of which NumPy would cut trailing zeros.
    return np.array(value, object) if isinstance(value, bytes) else np.asarray(value)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", maxsplit=1)[0][:500] or type(error).__name__
