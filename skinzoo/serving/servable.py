"""One loaded version of a model."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf

from skinzoo.export.card import read_card
from skinzoo.serving.batching import PER_MODEL_FILE, Batching, for_exports, read_batching
from skinzoo.serving.engine import Engine
from skinzoo.serving.engines import EngineOptions, open_engine
from skinzoo.serving.limits import Limits, check_images
from skinzoo.serving.observing import running
from skinzoo.serving.signatures import (
    DEFAULT_TAGS,
    check_filter,
    check_names,
    check_values,
    find,
    read_signatures,
)
from skinzoo.serving.status import RpcError


@dataclass(frozen=True, kw_only=True)
class LoadOptions:
    """How versions are loaded.

    Args:
        batching: Parameters for every model; None for those of `for_exports`, for exports alone.
        enable_batching: True batches every model, False none, None the exports of skinzoo.
        tags: Tags of the graph in a SavedModel.
        per_model_batching: Whether a version's own file of parameters, where it has one, holds instead.
        warmup: Whether warm-up records are run before a version is available.
        warmup_times: How often each of them is.
        engine: What executes it.
        limits: What an image given to an export may be.
    """

    batching: Batching | None = None
    enable_batching: bool | None = None
    tags: tuple[str, ...] = DEFAULT_TAGS
    per_model_batching: bool = False
    warmup: bool = True
    warmup_times: int = 1
    engine: EngineOptions = field(default_factory=EngineOptions)
    limits: Limits = field(default_factory=Limits)

    def batching_of(self, *, is_export: bool, folder: Path | None = None) -> Batching | None:
        """Return how a model is batched; None for not at all.

        Args:
            is_export: Whether it is an export of skinzoo.
            folder: The version folder.

        Raises:
            UsageError: Its own parameters cannot be honoured.
        """
        if self.enable_batching is False or (self.enable_batching is None and not is_export):
            return None
        if self.per_model_batching and folder is not None and (folder / PER_MODEL_FILE).is_file():
            return read_batching(folder / PER_MODEL_FILE, what=PER_MODEL_FILE)
        return self.batching or (for_exports(self.engine.streams) if is_export else Batching())


class Servable:
    """A SavedModel that answers.

    Args:
        name: Name of the model.
        version: Version number.
        path: The version folder.
        options: How it is loaded.

    Raises:
        ModelError: The folder holds no SavedModel that loads.
    """

    def __init__(self, name: str, version: int, path: Path, options: LoadOptions | None = None) -> None:
        options = options or LoadOptions()
        self.name = name
        self.version = version
        self.path = path
        self.signatures = read_signatures(path, options.tags)
        self.card = read_card(path)
        is_export = self.card is not None
        batching = options.batching_of(is_export=is_export, folder=path)
        self.batched = batching is not None
        self.engine = options.engine
        self._engine: Engine = open_engine(
            options.engine,
            path,
            self.signatures,
            tags=options.tags,
            batching=batching,
            is_export=is_export,
        )
        self._limits = options.limits
        self.warmup_seconds: float | None = None
        self._users = 0
        self._free = threading.Condition()

    def run(
        self,
        signature: str,
        inputs: Mapping[str, Any],
        *,
        output_filter: Collection[str] = (),
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Return a signature's outputs, in a batch with those of other requests where batching is on.

        Args:
            signature: Its name; empty for the default one.
            inputs: Input name to NumPy array or tensor.
            output_filter: Names of the outputs wanted; all by default.
            timeout: Seconds that are left; None for as long as it takes.

        Returns:
            Output name to NumPy array.

        Raises:
            RpcError: It cannot be run on these inputs.
        """
        start = time.monotonic()
        signature, definition = find(self.signatures, signature)
        check_names(definition, inputs)
        if len(inputs) < len(definition.inputs):
            defaults = {name: tf.make_ndarray(value) for name, value in definition.defaults.items()}
            inputs = defaults | dict(inputs)
        check_values(definition, inputs)
        check_filter(definition, output_filter)
        if self.card is not None:
            check_images(inputs, self._limits)
        if timeout is not None and timeout <= 0:
            raise deadline_exceeded()
        with running(self.name, self.version, str(self.engine), inputs):
            outputs = self._engine.run(signature, inputs)
        if timeout is not None and time.monotonic() - start > timeout:
            raise deadline_exceeded()
        return {name: outputs[name] for name in output_filter or definition.outputs}

    def hold(self) -> None:
        """Count a request in."""
        with self._free:
            self._users += 1

    def release(self) -> None:
        """Count a request out."""
        with self._free:
            self._users -= 1
            if not self._users:
                self._free.notify_all()

    def close(self, timeout: float | None = None) -> bool:
        """Wait for the requests that are inside, then give back what it holds.

        Args:
            timeout: Seconds to wait for them; None for as long as they take.

        Returns:
            Whether they have left; if not, nothing is given back.
        """
        with self._free:
            if not self._free.wait_for(lambda: self._users == 0, timeout):
                return False
        self._engine.close()
        return True


def deadline_exceeded() -> RpcError:
    """Return the error for a request whose time is over."""
    return RpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline exceeded")
