"""Reading a dataset: which one it is, where it lies, and how it differs from its publication."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skinzoo.data.layout import image_sizes, index_images, read_rows, walk_files
from skinzoo.data.mapping import TOML, USUAL
from skinzoo.data.table import check_table, class_counts, lesion_count
from skinzoo.errors import DataError, PluginError, UsageError, did_you_mean, nearest
from skinzoo.files import write_json
from skinzoo.home import datasets_folder, home
from skinzoo.plugins import describe
from skinzoo.registry import registry
from skinzoo.specs import DatasetRequest, DatasetSpec

DATA_VARIABLE = "SKINZOO_DATA"
SAMPLE = "sample"
TABLE_SUFFIXES = (".csv", ".tsv", ".tab")
_SETTING = "data.json"
_LOOKED_AT = 1000
"""Entries of a folder among which a misspelt name is looked for."""
_MAPPING_EXAMPLE = "columns = { image = 'file', label = 'diagnosis' }"


@dataclass(frozen=True)
class Data:
    """Which data to read.

    Args:
        path: Folder or file; None for a dataset that needs none.
        dataset: Name of the dataset; None where the path is to be recognised.
        origin: Who chose: `--data` or `PATH`, `SKINZOO_DATA`, `skinzoo data use` or `default`.
        notice: What the user should be told; empty where there is nothing to tell.
    """

    path: Path | None
    dataset: str | None
    origin: str
    notice: str = ""


def resolve_data(data: str | None = None, *, option: str = "--data") -> Data:
    """Find out which data are meant.

    The order is: what was given, the environment variable `SKINZOO_DATA`, the path set by `skinzoo data
    use`, the built-in sample. Each may be a path or the name of a registered dataset; a path that exists
    comes first. A name stands for the downloaded copy of that dataset, or for a dataset that needs no path.

    Args:
        data: What the user gave as `--data`.
        option: What errors call it, where the command takes it otherwise.

    Raises:
        DataError: The path does not exist, or nothing of that name was downloaded.
    """
    if data:
        return _located(data, option)
    from_environment = os.environ.get(DATA_VARIABLE)
    if from_environment:
        return _located(from_environment, DATA_VARIABLE)
    setting = used_data()
    if setting:
        return _located(setting, "skinzoo data use")
    return Data(
        None,
        SAMPLE,
        "default",
        "No data given: using the built-in sample of synthetic lesions. For real data give "
        f"{_as_given(option)}, set {DATA_VARIABLE}, or run: skinzoo data use PATH",
    )


def use_data(data: str) -> Data:
    """Remember a path or a dataset's name as the data of later commands.

    Raises:
        DataError: It does not exist, or is no dataset that can be recognised.
    """
    found = _located(data, "skinzoo data use")
    find_dataset(found.path, found.dataset)
    value = data if found.path is None or not Path(data).expanduser().exists() else str(found.path)
    write_json(home() / _SETTING, {"data": value})
    return found


def forget_data() -> None:
    """Forget what `use_data` remembered."""
    (home() / _SETTING).unlink(missing_ok=True)


def used_data() -> str | None:
    """Return what `use_data` remembered, or None.

    Raises:
        DataError: The file that remembers it is damaged.
    """
    path = home() / _SETTING
    try:
        value = json.loads(path.read_text(encoding="utf-8"))["data"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} must be a JSON file with the key 'data'. Received: {describe(error)}",
            hint="Write it anew: skinzoo data use PATH",
        ) from error
    return str(value)


def find_dataset(path: Path | None, dataset: str | None = None) -> DatasetSpec:
    """Return the dataset of a name, or the one that recognises a path.

    Raises:
        UnknownNameError: No dataset has the name.
        DataError: The path does not exist, or none or several datasets recognise it.
    """
    if dataset is not None:
        return registry().get(DatasetSpec, dataset)
    if path is None:
        raise UsageError(
            "Either a path or a dataset's name must be given. Received: neither.", hint="Give --data"
        )
    if not path.exists():
        raise _no_such_data(str(path))
    candidates = [spec for spec in _specs() if _recognises(spec, path)]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        names = ", ".join(spec.name for spec in candidates)
        raise DataError(
            f"The data must be of one dataset. Received: {path}, which looks like {names}.",
            hint=f"Name one: --dataset {candidates[0].name}",
        )
    raise DataError(
        f"The data must have the layout of a known dataset. Received: {path}, {_unrecognised(path)}.",
        hint=f"Name one with --dataset (see: skinzoo data list), or say in a file {TOML} beside your table "
        f"what its columns are: {_MAPPING_EXAMPLE}",
    )


def read_dataset(
    path: str | os.PathLike[str] | None = None,
    dataset: str | None = None,
    options: Mapping[str, Any] | None = None,
    skip_bad: bool = False,
) -> pd.DataFrame:
    """Read a dataset into the canonical table of cases.

    Args:
        path: Folder or file; None for a dataset that needs none.
        dataset: Name of the dataset; None to recognise it.
        options: The dataset's own options; text is converted to the type of the option's default.
        skip_bad: Leave out rows that cannot be used, and list them in `attrs["left_out"]`, instead of
            failing.

    Returns:
        The table (`skinzoo.data.table`); `attrs["notes"]` says how the data differ from the publication.

    Raises:
        DataError: The data cannot be found, recognised or used.
        UsageError: An option that the dataset does not have.
    """
    where = None if path is None else Path(path).expanduser().absolute()
    if where is not None and not where.exists():
        raise _no_such_data(str(path))
    spec = find_dataset(where, dataset)
    table = spec.read(
        DatasetRequest(path=where, options=checked_options(spec, options or {}), skip_bad=skip_bad)
    )
    table = check_table(table, vocabularies=spec.vocabularies, skip_bad=skip_bad)
    table.attrs["notes"] = [*table.attrs["notes"], *differences(table, spec)]
    return table


def leave_out_unreadable(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose image file can be decoded; the others are listed in `attrs["left_out"]`.

    Args:
        table: Canonical table.

    Raises:
        DataError: No image can be decoded.
    """
    from skinzoo.data.scan import scan_images

    scan = scan_images(table["image_path"].tolist())
    unusable = np.flatnonzero(~scan.usable)
    bad: list[dict[str, str]] = [
        {
            "image_id": table["image_id"].iloc[i],
            "path": table["image_path"].iloc[i],
            "reason": str(scan.errors[i]),
        }
        for i in unusable
    ]
    if len(bad) == len(table):
        raise DataError(
            f"At least one image must be decodable. Received: {len(bad):,} images, none of which is; "
            f"the first: {bad[0]['path']}: {bad[0]['reason']}"
        )
    kept = table[scan.usable].reset_index(drop=True)
    kept.attrs = {**table.attrs, "left_out": [*table.attrs["left_out"], *bad]}
    return kept


def checked_options(spec: DatasetSpec, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dataset's options, defaults included, with text converted to the types of the defaults.

    Raises:
        UsageError: An unknown option or a value of the wrong type.
    """
    values = dict(spec.options)
    for name, value in options.items():
        if name not in values:
            known = ", ".join(values) or "none"
            raise UsageError(
                f"Dataset '{spec.name}' has the options: {known}. Received: '{name}'.",
                hint=did_you_mean(name, values),
            )
        values[name] = _converted(spec.name, name, value, values[name])
    return values


def differences(table: pd.DataFrame, spec: DatasetSpec) -> list[str]:
    """Say how a table differs from what the dataset's publication states, one sentence each."""
    facts = spec.facts
    found = []
    # A task that chooses among the classes says itself what it leaves out.
    if table.attrs["classes"] == spec.classes and facts.images not in (None, len(table)):
        found.append(f"{len(table):,} images; the published dataset has {facts.images:,}.")
    if table.attrs["classes"] == spec.classes and facts.class_counts:
        counts = class_counts(table)
        wrong = [
            f"{name} {counts.get(name, 0):,} (published {published:,})"
            for name, published in facts.class_counts.items()
            if counts.get(name, 0) != published
        ]
        if wrong:
            found.append(f"Images of a class differ from the publication: {', '.join(wrong)}.")
    if facts.lesions is not None and lesion_count(table) != facts.lesions:
        found.append(f"{lesion_count(table):,} lesions; the published dataset has {facts.lesions:,}.")
    if facts.image_size is not None:
        sizes = image_sizes(table["image_path"].tolist())
        other = {size: count for size, count in sizes.items() if size != facts.image_size}
        if other:
            width, height = max(other, key=lambda size: other[size])
            found.append(
                f"Images are {width}x{height} pixels (of {sum(sizes.values())} looked at); the "
                f"published ones are "
                f"{facts.image_size[0]}x{facts.image_size[1]}."
            )
    return found


def _unrecognised(path: Path) -> str:
    """Say in a clause what keeps a path from being recognised."""
    if path.is_dir():
        if not any(True for _ in walk_files(path)):
            return "which is an empty folder"
        images = index_images([path])
        tables = sorted(
            {entry.name for entry in walk_files(path) if Path(entry.name).suffix.lower() in TABLE_SUFFIXES}
        )
        if images.paths and not tables:
            return "which holds images but neither a table nor two folders named like classes"
        return (
            f"which none recognises (it holds {', '.join(tables[:3])})" if tables else "which none recognises"
        )
    if path.suffix.lower() not in TABLE_SUFFIXES:
        return "which is no folder and no table (.csv, .tsv, .tab)"
    columns = list(read_rows(path, limit=0).columns)
    lacking = [name for name in ("image", "label") if not set(columns) & set(USUAL[name])]
    if not lacking:
        return "which none recognises"
    usual = "; ".join(f"{name} (usually {', '.join(USUAL[name])})" for name in lacking)
    return f"a table that lacks for the layout 'csv' a column of the {usual}; it has {', '.join(columns)}"


def _specs() -> list[DatasetSpec]:
    return [registry().get(DatasetSpec, name) for name in registry().names(DatasetSpec.kind)]


def _recognises(spec: DatasetSpec, path: Path) -> bool:
    try:
        return spec.recognises(path)
    except OSError as error:
        raise DataError(
            f"The data must be readable. Received: {path} ({error.strerror}).", hint="Check its permissions."
        ) from error
    except Exception as error:
        raise PluginError(
            f"Dataset '{spec.name}' failed to look at {path}: {describe(error)}",
            hint="Name the dataset that you mean with --dataset.",
        ) from error


def _located(data: str, origin: str) -> Data:
    path = Path(data).expanduser()
    if path.exists():
        return Data(path.absolute(), None, origin)
    names = registry().names(DatasetSpec.kind)
    if data.lower() in names:
        name = data.lower()
        if name == SAMPLE:
            return Data(None, name, origin)
        downloaded = datasets_folder() / name
        if downloaded.exists():
            return Data(downloaded, name, origin)
        raise DataError(
            f"Dataset '{name}' must have been downloaded to be named without a path. Received: nothing at "
            f"{downloaded}.",
            hint=f"Give {_as_given(origin)}, or run: skinzoo data download {name}",
        )
    raise _no_such_data(data, origin)


def _as_given(option: str) -> str:
    return "PATH" if option == "PATH" else "--data PATH"


def _no_such_data(data: str, origin: str = "data") -> DataError:
    names = registry().names(DatasetSpec.kind)
    # What lies beside it is nearer to what was meant than a dataset's name.
    match = _beside(Path(data).expanduser()) or nearest(data, names)
    return DataError(
        f"`{origin}` must be a path that exists or the name of a dataset. Received: '{data}'.",
        hint=f"Did you mean '{match}'?" if match else f"Datasets: {', '.join(names)}.",
    )


def _beside(path: Path) -> str | None:
    """Return a path in the same folder whose name is nearly that of one that does not exist."""
    with suppress(OSError):
        names = [entry.name for entry in islice(path.parent.iterdir(), _LOOKED_AT)]
        if name := nearest(path.name, names):
            return str(path.with_name(name))
    return None


def _converted(dataset: str, name: str, value: Any, default: Any) -> Any:
    if not isinstance(value, str) or isinstance(default, str) or default is None:
        wanted = value
    elif isinstance(default, bool):
        wanted = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            value.lower()
        )
    elif isinstance(default, int | float):
        try:
            wanted = type(default)(value)
        except ValueError:
            wanted = None
    else:
        wanted = value
    same_type = default is None or (
        isinstance(wanted, type(default)) and isinstance(wanted, bool) == isinstance(default, bool)
    )
    if isinstance(default, float) and isinstance(wanted, int) and not isinstance(wanted, bool):
        return float(wanted)
    if (wanted is None and default is not None) or not same_type:
        raise UsageError(
            f"Option `{name}` of dataset '{dataset}' must be of type {type(default).__name__}, for example "
            f"{default!r}. Received: {value!r}."
        )
    return wanted
