"""Loading pretrained weights into a backbone, by layer name and with a report."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from skinzoo.errors import ModelError

SUFFIXES = (".weights.h5", ".keras", ".h5")

_NUMBERED_CLASSES = (
    "conv2d",
    "depthwise_conv2d",
    "separable_conv2d",
    "dense",
    "batch_normalization",
    "layer_normalization",
    "normalization",
)


@dataclass(frozen=True)
class WeightReport:
    """What a weight file gave to a backbone.

    Args:
        origin: `none`, `imagenet` or the file's name.
        loaded: Names of the layers that took their weights from it.
        missing: Names of the layers that it has nothing for; they keep their random weights.
        mismatched: Names of the layers for which its shapes do not fit; they keep their random weights.
        unused: Names of the file's layers that the backbone has no use for.
    """

    origin: str
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.loaded:
            return f"weights: {self.origin}"
        return (
            f"weights: {self.origin}: {len(self.loaded)} layers loaded, {len(self.missing)} missing, "
            f"{len(self.mismatched)} of another shape, {len(self.unused)} of the file unused"
        )


def load_weight_file(network: keras.Model, path: Path, *, needed: list[str]) -> WeightReport:
    """Load a file's weights into the layers of the same name.

    Layers that Keras numbers by itself are matched by class and distance from the first of that class, so
    a file fits whatever was built earlier in the process.

    Args:
        network: The whole backbone, before it is cut.
        path: `.weights.h5`, `.keras` or a `.h5` of Keras 2.
        needed: Names of the layers up to the cut; only these are loaded and reported.

    Raises:
        ModelError: The file is missing, is of another kind, or fits no layer.
    """
    if not path.is_file():
        raise ModelError(
            f"`weights` must be none, imagenet or a file. Received: '{path}', which is not a file.",
            hint=f"Give the path of a {', '.join(SUFFIXES)} file.",
        )
    if not path.name.endswith(SUFFIXES):
        raise ModelError(f"A weight file must end in {', '.join(SUFFIXES)}. Received: '{path.name}'.")
    stored = _read(path)
    wanted = set(needed)
    keys = _stable_names([layer.name for layer in network.layers])
    file_keys = _stable_names(list(stored))
    by_key = {file_keys[name]: values for name, values in stored.items()}
    loaded, missing, mismatched = [], [], []
    used = set()
    for layer in network.layers:
        if layer.name not in wanted or not layer.weights:
            continue
        values = by_key.get(keys[layer.name])
        if values is None:
            missing.append(layer.name)
            continue
        used.add(keys[layer.name])
        if [value.shape for value in values] != [tuple(weight.shape) for weight in layer.weights]:
            mismatched.append(layer.name)
            continue
        layer.set_weights(values)
        loaded.append(layer.name)
    if not loaded:
        raise ModelError(
            f"A weight file must hold weights for at least one layer of the backbone '{network.name}'. "
            f"Received: '{path.name}', whose {len(stored)} layers fit none "
            f"({len(mismatched)} have the name but another shape).",
            hint="Check that the file belongs to this backbone.",
        )
    unused = tuple(name for name in stored if file_keys[name] not in used)
    return WeightReport(path.name, tuple(loaded), tuple(missing), tuple(mismatched), unused)


@contextmanager
def offline_explained(backbone: str) -> Iterator[None]:
    """Turn a failed download of ImageNet weights into an error that says what to put where."""
    try:
        yield
    except Exception as error:
        address = re.search(r"URL fetch failure on (\S+?):? ", str(error) + " ")
        if address is None:
            raise
        url = address[1].rstrip(":")
        folder = Path(os.environ.get("KERAS_HOME", "~/.keras"))
        raise ModelError(
            f"The ImageNet weights of '{backbone}' could not be downloaded: {url.rsplit('/', 1)[-1]}.",
            hint=f"Fetch {url} and put it into {folder / 'models'}, or use `--weights none` or a path.",
        ) from error


def _stable_names(names: list[str]) -> dict[str, str]:
    """Map each name to itself, or auto-numbered ones to `class+distance from the first of the class`."""
    numbered: dict[str, list[tuple[int, str]]] = {}
    stable = {name: name for name in names}
    for name in names:
        match = re.fullmatch(rf"({'|'.join(_NUMBERED_CLASSES)})(?:_(\d+))?", name)
        if match:
            numbered.setdefault(match[1], []).append((int(match[2] or 0), name))
    for class_name, found in numbered.items():
        first = min(number for number, _ in found)
        for number, name in found:
            stable[name] = f"{class_name}+{number - first}"
    return stable


def _read(path: Path) -> dict[str, list[np.ndarray]]:
    import h5py

    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
                member = archive.extract("model.weights.h5", folder)
                with h5py.File(member) as file:
                    return dict(_keras3_layers(file))
        with h5py.File(path) as file:
            if "layer_names" in file.attrs or "model_weights" in file:
                return dict(_keras2_layers(file.get("model_weights", file)))
            return dict(_keras3_layers(file))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"A weight file must be readable HDF5 or a .keras archive. Received: '{path.name}' ({error}).",
            hint="It may be truncated; fetch it again.",
        ) from error


def _keras3_layers(group: Any) -> Iterator[tuple[str, list[np.ndarray]]]:
    for key, child in group.items():
        if not hasattr(child, "items"):
            continue
        if key == "vars":
            values = [np.asarray(child[str(i)]) for i in range(len(child))]
            name = child.attrs.get("name", group.name.rsplit("/", 1)[-1])
            if values:
                yield name.decode() if isinstance(name, bytes) else str(name), values
        else:
            yield from _keras3_layers(child)


def _keras2_layers(group: Any) -> Iterator[tuple[str, list[np.ndarray]]]:
    def text(value: Any) -> str:
        return value.decode() if isinstance(value, bytes) else str(value)

    for name in map(text, group.attrs["layer_names"]):
        values = [np.asarray(group[name][text(weight)]) for weight in group[name].attrs["weight_names"]]
        if values:
            yield name, values
