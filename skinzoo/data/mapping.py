"""Which columns of a user's table mean what: options, a small TOML file, or the usual names."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skinzoo.errors import DataError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOML = "skinzoo.toml"
FIELDS = ("image", "label", "image_id", "lesion_id", "age", "sex", "localization", "confirmation", "part")
USUAL = {
    "image": ("image", "image_path", "path", "file", "filename", "image_id"),
    "label": ("label", "class", "diagnosis", "target", "dx"),
    "lesion_id": ("lesion_id", "patient_id"),
    "age": ("age", "age_approx", "age_approximate"),
    "localization": ("localization", "anatom_site_general", "site"),
    "part": ("part", "split"),
}
MAPPED = ("label", "sex", "localization", "part")
KEYS = ("table", "images", "classes", "columns", "values")


@dataclass(frozen=True)
class ColumnMapping:
    """How a user's table is to be read.

    Args:
        table: File name of the table, relative to the TOML file; empty where the path names it.
        images: Folder of the images, relative to the table; empty for the table's folder.
        classes: Class names in order; empty for the labels in alphabetical order.
        columns: Column of each field.
        values: Canonical value of each value, by field.
    """

    table: str = ""
    images: str = ""
    classes: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def mapping_file(path: Path) -> Path | None:
    """Return the TOML file of a table's name, or `skinzoo.toml` beside a table or in a folder; or None."""
    candidates = [path / TOML] if path.is_dir() else [path.with_suffix(".toml"), path.with_name(TOML)]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def read_mapping(path: Path) -> ColumnMapping:
    """Read a mapping.

    Example:
        table = "cases.csv"
        images = "photos"
        classes = ["benign", "malignant"]
        [columns]
        image = "file"
        label = "diagnosis"
        [values.localization]
        "left arm" = "upper extremity"

    Raises:
        DataError: It is not TOML, or has keys or values that mean nothing.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path} must be a TOML file. Received: {error}", hint="Correct it.") from error
    _only(path, "key", content, KEYS)
    columns = _texts(path, "columns", content.get("columns", {}))
    _only(path, "column", columns, FIELDS)
    values = content.get("values", {})
    if not isinstance(values, dict):
        raise _wrong(path, "values", values)
    _only(path, "table of values", values, MAPPED)
    classes = content.get("classes", [])
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise _wrong(path, "classes", classes)
    for key in ("table", "images"):
        if not isinstance(content.get(key, ""), str):
            raise _wrong(path, key, content[key])
    return ColumnMapping(
        table=content.get("table", ""),
        images=content.get("images", ""),
        classes=tuple(classes),
        columns=columns,
        values={name: _texts(path, f"values.{name}", texts) for name, texts in values.items()},
    )


def _only(path: Path, what: str, received: Mapping[str, Any], allowed: tuple[str, ...]) -> None:
    for name in received:
        if name not in allowed:
            raise DataError(
                f"Each {what} of {path} must be one of {', '.join(allowed)}. Received: '{name}'.",
                hint=did_you_mean(name, allowed) or "Remove it.",
            )


def _texts(path: Path, key: str, received: Any) -> dict[str, str]:
    if not isinstance(received, dict) or not all(isinstance(text, str) for text in received.values()):
        raise _wrong(path, key, received)
    return dict(received)


def _wrong(path: Path, key: str, received: Any) -> DataError:
    kind = (
        "a list of strings"
        if key == "classes"
        else "a string"
        if key in ("table", "images")
        else "a table of strings"
    )
    return DataError(f"`{key}` of {path} must be {kind}. Received: {received!r}.", hint="Correct the file.")
