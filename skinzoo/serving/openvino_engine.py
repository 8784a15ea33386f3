"""OpenVINO executes the network of an export; TensorFlow decodes, looks up terms and names the classes."""

from __future__ import annotations

import hashlib
import logging
import queue
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from skinzoo.errors import ModelError
from skinzoo.export import names
from skinzoo.export.openvino import F32, compile_file, write_file
from skinzoo.home import cache_folder
from skinzoo.quiet import silenced
from skinzoo.serving.functions import Flat, Signature
from skinzoo.serving.network import Network

_LOG = logging.getLogger(__name__)
_FILE = "model.xml"
# Changes where what is written into the cache does.
_LAYOUT = "1"


class Networks:
    """Converts signatures of a SavedModel, or finds them converted in the cache.

    Args:
        folder: The version folder.
        is_export: Whether it is an export of skinzoo.
        precision: What the network is calculated in, `f32` or `bf16`.
        streams: Batches that run at the same time, which share the cores.
    """

    def __init__(self, folder: Path, *, is_export: bool, precision: str = F32, streams: int = 1) -> None:
        self._folder = folder
        self._is_export = is_export
        self._precision = precision
        self._streams = streams

    def flats(self, signatures: Mapping[str, Signature]) -> dict[str, Flat]:
        """Return the signatures whose network OpenVINO runs; see the engine's `Networks`."""
        # Those that begin with image files share the network of the export's signature of pixels.
        chosen = [names.TENSORS] if self._is_export else list(signatures)
        found: dict[str, Flat] = {}
        failure: ModelError | None = None
        for name in chosen:
            try:
                found[name] = self._flat(name, signatures[name])
            except ModelError as error:
                failure = error
        if failure is not None and not found:
            raise failure
        inside = {*found, names.SERVING, names.IMAGE_ONLY} if self._is_export else set(found)
        others = ", ".join(sorted(set(signatures) - inside))
        if others:
            _LOG.info("Of '%s' TensorFlow alone runs %s", self._folder, others)
        return found

    def _flat(self, name: str, signature: Signature) -> Flat:
        network = Network(signature, names.PROBABILITIES if self._is_export else None)
        return network.around(Compiled(self._converted(name, network), self._precision, self._streams))

    def _converted(self, name: str, network: Network) -> Path:
        folder = cache_folder() / "openvino" / self._key(name)
        if (folder / _FILE).is_file():
            return folder / _FILE
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
        try:
            with silenced():
                network.write(str(scratch / "core"))
                write_file(scratch / "core", scratch / _FILE)
            shutil.rmtree(scratch / "core")
            try:
                scratch.rename(folder)
            except OSError:
                # Another process has written the same in the meantime.
                if not (folder / _FILE).is_file():
                    raise
        except Exception as error:
            # Converters raise whatever they like.
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise ModelError(
                f"OpenVINO must be able to run '{name}' of '{self._folder}'. Received: {said}"
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return folder / _FILE

    def _key(self, name: str) -> str:
        found = hashlib.sha256(f"{_LAYOUT} {name} {version('openvino')} {tf.__version__}".encode())
        for path in (self._folder / names.SAVED_MODEL_FILE, *sorted((self._folder / "variables").glob("*"))):
            found.update(hashlib.sha256(path.read_bytes()).digest())
        return found.hexdigest()[:32]


class Compiled:
    """A network in OpenVINO, asked from many threads at once.

    Args:
        file: The converted network.
        precision: What it is calculated in, `f32` or `bf16`.
        streams: Batches that run at the same time. One that runs alone has every core all the same.

    Raises:
        ModelError: It does not load.
    """

    def __init__(self, file: Path, precision: str, streams: int) -> None:
        try:
            self._alone = _Requests(compile_file(file, precision=precision))
            self._together = self._alone
            if streams > 1:
                self._together = _Requests(compile_file(file, precision=precision, streams=streams))
        except RuntimeError as error:
            shutil.rmtree(file.parent, ignore_errors=True)
            raise ModelError(f"OpenVINO must load '{file}'. Received: {str(error)[:300]}") from error
        self._inside = 0
        self._lock = threading.Lock()

    def __call__(self, *rows: np.ndarray) -> Sequence[np.ndarray]:
        """Run a batch: inputs in the order of `Network.specs`."""
        with self._lock:
            requests = self._together if self._inside else self._alone
            self._inside += 1
        try:
            return requests.infer(rows)
        finally:
            with self._lock:
                self._inside -= 1


class _Requests:
    """Requests of a compiled network, each of which answers one batch at a time."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._inputs = [port.get_any_name() for port in model.inputs]
        self._outputs = [
            next(port for port in model.outputs if f"y{number}" in port.get_names())
            for number in range(len(model.outputs))
        ]
        # There are as many as batches ran at the same time.
        self._free: queue.SimpleQueue = queue.SimpleQueue()

    def infer(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = {f"x{number}": one for number, one in enumerate(rows)}
        try:
            request = self._free.get_nowait()
        except queue.Empty:
            request = self._model.create_infer_request()
        try:
            found = request.infer({name: given[name] for name in self._inputs}, share_inputs=True)
            return [np.array(found[port]) for port in self._outputs]
        finally:
            self._free.put(request)
