"""Parameter counts of the built-in variants, from the generated `counts.json`.

`python -m skinzoo_zoo.counts` builds every variant of this distribution and writes the file anew.
"""

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


def generate() -> None:
    """Build every built-in variant and write the counts."""
    import dataclasses

    import keras

    from skinzoo.files import write_json
    from skinzoo.model import count_parameters, create_model
    from skinzoo.registry import registry

    found = {}
    for part in registry().parts("variant"):
        if part.provider.distribution == "skinzoo":
            found[part.name] = dataclasses.asdict(count_parameters(create_model(part.name)))
            keras.backend.clear_session()
    write_json(PATH, found)


if __name__ == "__main__":
    generate()
