"""What is known of datasets and tables, as plain values for commands and JSON."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from skinzoo.data.read import resolve_data
from skinzoo.data.sample import SampleOptions, draw_sample
from skinzoo.data.table import PARTS, class_counts, lesion_count
from skinzoo.errors import DataError
from skinzoo.home import datasets_folder
from skinzoo.registry import registry
from skinzoo.specs import DatasetSpec
from skinzoo.vocabulary import UNKNOWN


def describe_datasets() -> dict[str, Any]:
    """Return the registered datasets, what is downloaded of them, and the data in use."""
    found = registry()
    data = resolve_data()
    return {
        "datasets": [_described(found.get(DatasetSpec, name)) for name in found.names(DatasetSpec.kind)],
        "in_use": {
            "path": str(data.path) if data.path is not None else "",
            "dataset": data.dataset or "",
            "origin": data.origin,
        },
    }


def describe_table(table: pd.DataFrame) -> dict[str, Any]:
    """Return counts, missing values, notes and left-out rows of a canonical table."""
    with_ids = table[table["lesion_id"] != ""]
    lesions = with_ids.groupby("label")["lesion_id"].nunique()
    parts = table["part"].value_counts()
    return {
        "dataset": table.attrs["dataset"],
        "images": len(table),
        "lesions": lesion_count(table),
        "class_counts": class_counts(table),
        "class_lesions": {
            name: int(lesions.get(name, 0)) if len(with_ids) else None for name in table.attrs["classes"]
        },
        "missing": {
            "age": int(table["age"].isna().sum()),
            "sex": int((table["sex"] == UNKNOWN).sum()),
            "localization": int((table["localization"] == UNKNOWN).sum()),
        },
        "parts": {part: int(parts[part]) for part in PARTS if part in parts},
        "notes": list(table.attrs["notes"]),
        "left_out": list(table.attrs["left_out"]),
    }


def write_sample(to: Path, options: SampleOptions) -> None:
    """Draw the built-in sample into a new folder.

    Raises:
        DataError: The folder is there and not empty, or cannot be written.
    """
    try:
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise DataError(
                f"The folder must be new or empty. Received: {to}.", hint="Name another folder with --to."
            )
        to.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as temporary:
            made = Path(temporary) / "sample"
            draw_sample(made, options)
            if to.exists():
                to.rmdir()
            made.rename(to)
    except OSError as error:
        raise DataError(
            f"The folder must be writable. Received: {to} ({error.strerror or error}).",
            hint="Name another folder with --to.",
        ) from error


def _described(spec: DatasetSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "images": spec.facts.images,
        "lesions": spec.facts.lesions,
        "classes": list(spec.classes) if spec.classes else None,
        "licence": spec.licence,
        "downloadable": bool(spec.files),
        "downloaded": (datasets_folder() / spec.name).is_dir(),
    }
