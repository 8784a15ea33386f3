"""One loaded version of a model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef

from skinzoo.errors import ModelError
from skinzoo.export.card import Card, read_card
from skinzoo.export.names import SAVED_MODEL_FILE
from skinzoo.serving.status import failed_precondition, from_number


class Servable:
    """A SavedModel that answers.

    Args:
        name: Name of the model.
        version: Version number.
        path: The version folder.

    Raises:
        ModelError: The folder holds no SavedModel that loads.
    """

    def __init__(self, name: str, version: int, path: Path) -> None:
        if not (path / SAVED_MODEL_FILE).is_file():
            raise ModelError(f"'{path}' must hold a {SAVED_MODEL_FILE}. Received: a folder without it.")
        self.name = name
        self.version = version
        self.path = path
        self.card: Card | None = read_card(path)
        self.signatures: Mapping[str, SignatureDef] = read_signatures(path)
        self._loaded = tf.saved_model.load(str(path))

    def run(
        self,
        signature: str,
        inputs: Mapping[str, Any],
        *,
        output_filter: Collection[str] = (),
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Return a signature's outputs.

        Args:
            signature: Its name.
            inputs: Input name to NumPy array or tensor.
            output_filter: Names of the outputs wanted; all by default.
            timeout: Seconds that are left.

        Raises:
            RpcError: It cannot be run on these inputs.
        """
        if signature not in self.signatures:
            raise failed_precondition(f'Serving signature key "{signature}" not found.')
        try:
            outputs = self._loaded.signatures[signature](**{key: tf.constant(v) for key, v in inputs.items()})
        except tf.errors.OpError as error:
            raise from_number(error.error_code, error.message) from error
        return {key: value for key, value in outputs.items() if not output_filter or key in output_filter}


def read_signatures(path: Path) -> dict[str, SignatureDef]:
    """Return the signatures of the SavedModel in a folder."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel()
    saved.ParseFromString((path / SAVED_MODEL_FILE).read_bytes())
    for graph in saved.meta_graphs:
        if "serve" in graph.meta_info_def.tags:
            return dict(graph.signature_def)
    raise ModelError(f"'{path}' must hold a SavedModel with the tag 'serve'.")
