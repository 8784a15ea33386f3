"""The proof that an export answers as its run does, in a process that knows nothing of skinzoo."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skinzoo.errors import ModelError
from skinzoo.export import names
from skinzoo.export.golden import Golden

TOLERANCE = 1e-5
"""Largest difference of a probability."""
_SECONDS = 1800


@dataclass(frozen=True)
class Parity:
    """How closely an export agrees with its run.

    Args:
        cases: Golden cases.
        differences: Largest difference of a probability to Keras by signature; by format for other formats.
        same_class: Golden cases with the same most probable class.
        tolerance: Largest difference that is let pass; None where it is only measured.
    """

    cases: int
    differences: dict[str, float]
    same_class: int
    tolerance: float | None = TOLERANCE

    @property
    def largest(self) -> float:
        """The largest difference of all."""
        return max(self.differences.values())

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "cases": self.cases,
            "tolerance": self.tolerance,
            "same_class": self.same_class,
            "largest_difference": self.largest,
            "differences": self.differences,
        }


def prove(folder: Path, golden_file: Path, golden: Golden) -> Parity:
    """Ask an export in a fresh process without skinzoo and compare its answers with those of Keras.

    Args:
        folder: The SavedModel.
        golden_file: The golden cases as JSON.
        golden: The same.

    Raises:
        ModelError: The export cannot be loaded there, or an answer differs by more than 1e-5.
    """
    found = _ask(folder, golden_file)
    differences = {}
    for name, answers in found["answers"].items():
        expected = golden.image_only if name == names.IMAGE_ONLY else golden.probabilities
        differences[name] = float(np.abs(np.asarray(answers) - expected).max())
    # More would have been refused.
    parity = Parity(len(golden.cases), differences, same_class=len(golden.cases))
    # Not `>`: a NaN must not pass.
    worst = next((name for name, value in differences.items() if not value <= TOLERANCE), None)
    if worst is not None:
        raise ModelError(
            f"An export must give the probabilities of its run to {TOLERANCE:g}. Received: a difference of "
            f"{differences[worst]:.3g} in '{worst}'.",
            hint="Nothing was exported. A layer that is random at inference or that keeps state cannot be "
            "exported.",
        )
    top = [golden.classes[i] for i in np.argmax(found["answers"][names.SERVING], axis=1)]
    if found["predicted_class"] != top or found["classes"] != [list(golden.classes)] * len(golden.cases):
        raise ModelError(
            f"An export must name the classes of its run, {', '.join(golden.classes)}. Received: others.",
            hint="Nothing was exported.",
        )
    return parity


def _ask(folder: Path, golden_file: Path) -> dict[str, Any]:
    source = Path(__file__).with_name("fresh_process.py").read_text(encoding="utf-8")
    # The CPU alone: this process may hold all memory of a GPU, whose shorter arithmetic would differ besides.
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", source, str(folder.resolve()), str(golden_file.resolve())],
            capture_output=True,
            text=True,
            cwd=folder,
            env=environment,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"An export must answer its golden cases within {_SECONDS} seconds. Received: nothing."
        ) from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise ModelError(
            f"An export must load with plain TensorFlow. Received: {last[:300]}.",
            hint="Nothing was exported.",
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
