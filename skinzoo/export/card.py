"""The card of an export: what it is, what it takes, how well it does. Free of TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skinzoo.errors import ModelError
from skinzoo.export.names import CARD_FILE, EXTRA_FOLDER

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Card:
    """What `assets.extra/skinzoo_card.json` holds.

    Args:
        name: Name of the model.
        version: Version number.
        intended_use: What it is for, and what not.
        classes: Class names in the order of the outputs.
        image: `size` in pixels, `resize`, `preprocessing` and `version` of the decoding.
        sex: Vocabulary of sex, in index order from 1.
        localization: Vocabulary of localization, in index order from 1.
        uses_metadata: Whether age, sex and localization change the answer.
        has_attention: Whether there is an `explain` signature.
        variant: The variant's choices.
        training: Run, dataset, protocol, seed and options of the split, stamps, split hash, recipe, recipe
            hash, seed, weights.
        evaluation: Scores of the test part with their intervals; None where the run was not evaluated.
        calibration: What was fitted on validation; None where the run carries none.
        licence: Licences of code, weights and data.
        signatures: Name to `inputs` and `outputs`, each name to `dtype` and `shape`.
        parity: Number of golden cases and the largest difference to Keras.
        created: When it was made, ISO 8601 in UTC.
        skinzoo: Version of skinzoo that made it.
        format: Version of this layout.
    """

    name: str
    version: int
    intended_use: str
    classes: tuple[str, ...]
    image: Mapping[str, Any]
    sex: tuple[str, ...]
    localization: tuple[str, ...]
    uses_metadata: bool
    has_attention: bool
    variant: Mapping[str, Any]
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any] | None
    calibration: Mapping[str, Any] | None
    licence: Mapping[str, Any]
    signatures: Mapping[str, Any]
    parity: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    skinzoo: str = ""
    format: int = FORMAT

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()
        }


def parse_card(text: str, *, source: str) -> Card:
    """Read a card from its JSON text; unknown keys of later versions are left out.

    Args:
        text: The JSON.
        source: Where it comes from, for messages.

    Raises:
        ModelError: It is no card.
    """
    try:
        found = json.loads(text)
        names = {one.name for one in dataclasses.fields(Card)}
        known = {key: value for key, value in found.items() if key in names}
        for key in ("classes", "sex", "localization"):
            known[key] = tuple(known[key])
        return Card(**known)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"'{source}' must be the card of an export. Received: {error}.",
            hint="Export the run again with: skinzoo export RUN",
        ) from error


def read_card(version_folder: Path) -> Card | None:
    """Return the card of a version folder; None where there is none, as in a SavedModel made elsewhere.

    Raises:
        ModelError: It cannot be read.
    """
    path = version_folder / EXTRA_FOLDER / CARD_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"'{path}' must be readable. Received: {error}.") from error
    return parse_card(text, source=str(path))
