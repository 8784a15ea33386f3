"""The file of a profile: conditions, method and rows; read back to go on with it or to compare runs."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skinzoo import __version__
from skinzoo.errors import DataError, UsageError
from skinzoo.files import write_json
from skinzoo.profile.request import ProfileSettings
from skinzoo.training.environment import describe_environment

KIND = "skinzoo profile"
FORMAT = 1
METHOD: Mapping[str, str] = {
    "size of weights": "bytes of all weights in memory",
    "depth": "layers with weights; what Keras Applications states is the same or one more",
    "flops": "one image's forward pass, counted in the traced graph by TensorFlow's profiler: a "
    "multiplication and an addition are two operations; convolutions, matrix products, biases, "
    "element-wise arithmetic, pooling, means, sums and softmax count; what has no rule, such as ReLU, "
    "is listed as uncounted",
    "multiply_adds": "half of the operations of convolutions and matrix products",
    "latency": "a compiled forward pass of one image, from a uint8 array in the host's memory to "
    "probabilities there; median and 90th percentile of the repeats",
    "throughput": "the same with a batch; images a second at the median time",
    "training": "forward, backward and Adam's update of every trainable weight on one batch in memory, "
    "without input pipeline and validation; images a second at the median time",
    "memory": "most resident memory of the process up to then, TensorFlow included (before: with TensorFlow "
    "imported and nothing built), and what TensorFlow allocated on the GPU",
    "weights": "random; they change none of this",
}
COSTS: Mapping[str, str] = {
    "parameters": "parameters",
    "flops": "FLOPs",
    "latency": "seconds of one image",
    "throughput": "seconds an image in a batch",
    "training": "seconds an image in training",
}
"""Costs that a ratio compares, with what each is."""

_MEASURED = ("built", "device", "parameters", "flops", "latency", "throughput")
"""What every row without an error holds."""


@dataclass
class Profile:
    """The rows that were measured under the same conditions.

    Args:
        settings: How everything was built and timed.
        environment: Versions and machine when the first row was measured.
        rows: One mapping a variant, in the order of measurement.
    """

    settings: ProfileSettings
    environment: dict[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def begin(cls, settings: ProfileSettings) -> Profile:
        """Return a profile without rows, of this machine as it is now."""
        load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
        return cls(settings, describe_environment() | {"load_at_start": load})

    @property
    def measured(self) -> dict[str, dict[str, Any]]:
        """Rows without an error, by variant."""
        return {row["variant"]: row for row in self.rows if row["error"] is None}

    @property
    def device(self) -> str | None:
        """The device of the rows, None before the first one that was built."""
        return next((row["device"] for row in self.rows if "device" in row), None)

    def add(self, row: dict[str, Any]) -> None:
        """Add a row, in place of an earlier one of the same variant.

        Raises:
            UsageError: It was measured on another device.
        """
        rows = [one for one in self.rows if one["variant"] != row["variant"]]
        known = next((one["device"] for one in rows if "device" in one), None)
        if known is not None and row.get("device", known) != known:
            raise UsageError(
                f"All rows of a profile must be measured on one device, {known}. Received: {row['device']}.",
                hint="Write the rows of this device to another file.",
            )
        self.rows = [*rows, row]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "kind": KIND,
            "format": FORMAT,
            "skinzoo": __version__,
            "conditions": self.environment | {"device": self.device},
            "settings": self.settings.to_dict(),
            "method": dict(METHOD),
            "rows": self.rows,
        }

    def save(self, path: Path) -> None:
        """Write it atomically."""
        write_json(path, self.to_dict())

    def check_same(self, settings: ProfileSettings) -> None:
        """Check that rows measured here and now may stand beside those of this profile.

        Raises:
            UsageError: Settings, machine or versions differ.
        """
        now = describe_environment()
        ours = _conditions(self.environment) | self.settings.to_dict()
        theirs = _conditions(now) | settings.to_dict()
        different = [name for name in ours if name != "timeout" and ours[name] != theirs[name]]
        if different:
            name = different[0]
            raise UsageError(
                f"The rows of a profile must stand on the same conditions. Received: {', '.join(different)} "
                f"differ from those of the file ({name}: {theirs[name]}, in the file {ours[name]}).",
                hint="Write to another file, or measure everything anew with --anew.",
            )


def read_profile(path: Path) -> Profile:
    """Read a profile's file.

    Raises:
        DataError: It cannot be read, or is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["kind"] != KIND or document["format"] != FORMAT:
            raise ValueError(f"kind '{document['kind']}', format {document['format']}")
        rows = [{**row, "variant": str(row["variant"]), "error": row["error"]} for row in document["rows"]]
        for row in rows:
            missing = [name for name in _MEASURED if row["error"] is None and name not in row]
            if missing:
                raise ValueError(f"no {missing[0]} in the row of {row['variant']}")
        _conditions(document["conditions"])
        return Profile(ProfileSettings(**document["settings"]), dict(document["conditions"]), rows)
    except KeyError as error:
        raise _no_profile(path, f"no {error}") from error
    except (OSError, ValueError, TypeError, AttributeError, UsageError) as error:
        reason = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        raise _no_profile(path, reason) from error


def cost(row: Mapping[str, Any], name: str) -> float | None:
    """Return one of `COSTS` of a row, None where it was not measured."""
    if name == "parameters":
        return row["parameters"]["total"] if row.get("parameters") else None
    measured = row.get(name)
    if not measured:
        return None
    return float(measured["total"]) if name == "flops" else measured["median"] / measured["batch"]


def ratios(rows: Sequence[Mapping[str, Any]], first: str, second: str) -> dict[str, float | None]:
    """Return how many times as much the second variant costs as the first.

    Args:
        rows: Rows of one profile.
        first: Name of a variant.
        second: Name of another.

    Returns:
        Name of a cost to the ratio; None where one of the two was not measured.

    Raises:
        UsageError: There is no row of one of them.
    """
    by_name = {row["variant"]: row for row in rows}
    check_ratio(first, second, by_name)
    found: dict[str, float | None] = {}
    for name in COSTS:
        one, other = (cost(by_name[variant], name) for variant in (first, second))
        found[name] = other / one if one and other is not None else None
    return found


def check_ratio(first: str, second: str, variants: Collection[str]) -> None:
    """Check that two variants are among those of a profile.

    Raises:
        UsageError: One of them is not.
    """
    missing = [name for name in (first, second) if name not in variants]
    if missing:
        raise UsageError(
            f"--ratio must name two variants of the profile. Received: {', '.join(missing)}, of which there "
            "is no row.",
            hint=f"Measure it too: skinzoo profile {first} {second} --ratio {first} {second}",
        )


def _no_profile(path: Path, reason: str | None) -> DataError:
    return DataError(
        f"A profile must be a file that `skinzoo profile --to FILE.json` wrote. "
        f"Received: '{path}' ({reason})."
    )


def _conditions(environment: Mapping[str, Any]) -> dict[str, Any]:
    packages = environment["packages"]
    return {
        "processor": environment["processor"],
        "cores": environment["cores"],
        **{name: packages.get(name) for name in ("skinzoo", "tensorflow", "keras")},
    }
