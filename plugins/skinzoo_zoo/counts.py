"""Parameter counts of the built-in variants, from the generated `counts.json`."""

import functools
import json
from pathlib import Path

from skinzoo.api import ParameterCounts

PATH = Path(__file__).with_name("counts.json")


@functools.cache
def _counts() -> dict:
    return json.loads(PATH.read_text(encoding="utf-8")) if PATH.exists() else {}


def counts(variant: str) -> ParameterCounts | None:
    """Return the counts of a variant with 7 classes, or None before they were generated."""
    found = _counts().get(variant)
    return ParameterCounts(**found) if found else None
