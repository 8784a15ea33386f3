"""The best setting of a sweep as a file for `skinzoo train --config`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from skinzoo.scale.outcomes import Setting
from skinzoo.scale.progress import Sweep

BEST_FILE = "best.toml"


def best_as_toml(setting: Setting, sweep: Sweep) -> str:
    """Return a setting as the text of a file for `skinzoo train --config`."""
    config = setting.trial.config
    data = f" --data {sweep.file.data}" if sweep.file.data else ""
    mean = "" if setting.mean is None else f"{sweep.trials.metric} {setting.mean:.4f}"
    lines = [
        f"# The best setting of the sweep '{sweep.file.name}': {mean}, the mean of {len(setting.scores)} of "
        f"{setting.trials} trainings.",
        f"# skinzoo train {config.model.variant} --config {BEST_FILE}{data}",
        f"recipe = {_toml(config.recipe)}",
    ]
    for section, values in setting.trial.given.items():
        lines += ["", f"[{section}]", *(f"{_key(key)} = {_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # A text, number or truth value is written in JSON as in TOML.
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else _toml(name)
