"""Cases from what people have: images, a folder, a table in CSV or Parquet, or JSON lines.

A table needs a column with the image: `image`, `image_path`, `path`, `file` or `filename` (absolute, or
relative to the folder of images), or else `image_id`, the name of a file in that folder without its suffix.
`id` names a row, else `image_id` does, else the image. `age`, `sex` and `localization` may be absent or
empty; other columns are left alone. The keys of JSON lines are the same, with `image_base64` besides.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skinzoo.client.cases import Case
from skinzoo.errors import DataError, UsageError
from skinzoo.extras import require

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".parquet")
PARQUET_SUFFIX = ".parquet"
JSON_SUFFIXES = (".jsonl", ".ndjson")
IMAGE_COLUMNS = ("image", "image_path", "path", "file", "filename")
IMAGE_ID = "image_id"
SYSTEM_FOLDERS = ("__MACOSX", "@eaDir")
AGE_COLUMNS = ("age", "age_approx", "age_approximate")
LOCALIZATION_COLUMNS = ("localization", "anatom_site_general", "site")
_COLUMNS_HINT = (
    "Name the column with the path of the image `image`, or give --images FOLDER for a column image_id."
)


@dataclass(frozen=True)
class Source:
    """Cases that can be gone through more than once.

    Args:
        total: Their number.
        cases: Returns them in order.
        single: Whether they are images named one by one.
    """

    total: int
    cases: Callable[[], Iterator[Case]]
    single: bool = False


def read_source(
    paths: Sequence[Path],
    *,
    images: Path | None = None,
    age: float | None = None,
    sex: str | None = None,
    localization: str | None = None,
) -> Source:
    """Return the cases that paths name.

    Args:
        paths: One table, one file of JSON lines, one folder, or any number of images.
        images: Folder of the images that a table names; the table's own folder unless given.
        age: Years, for images named one by one.
        sex: A term, for the same.
        localization: A term, for the same.

    Raises:
        DataError: There is nothing to classify, or a file cannot be read.
        UsageError: The arguments do not go together.
    """
    for path in paths:
        if not path.exists():
            raise DataError(f"The cases must exist. Received: '{path}'.", hint="Check the path.")
    many = [path for path in paths if path.is_dir() or _suffix(path) in TABLE_SUFFIXES + JSON_SUFFIXES]
    if many and len(paths) > 1:
        raise UsageError(
            f"A table or a folder must be the only argument. Received: '{many[0]}' and {len(paths) - 1} more."
        )
    if many and any(value is not None for value in (age, sex, localization)):
        raise UsageError(
            f"--age, --sex and --localization must come with images. Received: '{many[0]}'.",
            hint="Put them into columns of a table, or into keys of JSON lines.",
        )
    if images is not None and not (many and many[0].is_file()):
        raise UsageError("--images must come with a table. Received: no table.")
    if not many:
        given = [
            Case(image=path, age=age, sex=sex, localization=localization, id=str(path)) for path in paths
        ]
        return Source(len(given), lambda: iter(given), single=True)
    [path] = many
    if path.is_dir():
        return _folder(path)
    return _table(path, images) if _suffix(path) in TABLE_SUFFIXES else _json_lines(path, images)


def find_images(folder: Path) -> list[Path]:
    """Return the image files under a folder, in the order of their paths; hidden ones are left out."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in SYSTEM_FOLDERS]
        found += [
            Path(place, name)
            for name in files
            if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")
        ]
    return sorted(found)


def _folder(folder: Path) -> Source:
    found = find_images(folder)
    if not found:
        raise DataError(
            f"The folder must hold images ({', '.join(IMAGE_SUFFIXES)}). Received: none in '{folder}'.",
            hint="Check the path.",
        )
    cases = [Case(image=path, id=path.relative_to(folder).as_posix()) for path in found]
    return Source(len(cases), lambda: iter(cases))


def _table(path: Path, images: Path | None) -> Source:
    columns, rows = _parquet_rows(path) if _suffix(path) == PARQUET_SUFFIX else _csv_rows(path)
    if not {*IMAGE_COLUMNS, IMAGE_ID} & set(columns):
        raise DataError(
            f"The table must have one of the columns {', '.join((*IMAGE_COLUMNS, IMAGE_ID))}. Received: "
            f"'{path}' with {', '.join(columns) or 'none'}.",
            hint=_COLUMNS_HINT,
        )
    if not rows:
        raise DataError(f"The table must have rows. Received: none in '{path}'.")
    finder = _Finder(path.parent, images)
    cases = [_case(row, finder) for row in rows]
    if all(case.problem for case in cases):
        raise DataError(
            f"The table must name images that are there. Received: '{path}', of whose rows none does; the "
            f"first: {cases[0].problem}",
            hint=_COLUMNS_HINT,
        )
    return Source(len(cases), lambda: iter(cases))


def _csv_rows(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        delimiter = "\t" if "\t" in first else ";" if ";" in first and "," not in first else ","
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True)
        columns = [name.strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        return columns, list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"The table must be a readable CSV file in UTF-8. Received: '{path}' ({_reason(error)}).",
            hint="Save it anew as CSV in UTF-8.",
        ) from error


def _parquet_rows(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    parquet = require("pyarrow.parquet", extra="parquet", purpose="Reading a Parquet file")
    from pyarrow import ArrowException

    try:
        table = parquet.read_table(path)
    except (OSError, ArrowException) as error:
        raise DataError(
            f"The table must be a readable Parquet file. Received: '{path}' ({_reason(error)}).",
            hint="Write it anew.",
        ) from error
    columns = [name.strip().lower() for name in table.column_names]
    return columns, table.rename_columns(columns).to_pylist()


def _json_lines(path: Path, images: Path | None) -> Source:
    finder = _Finder(path.parent, images)

    def cases() -> Iterator[Case]:
        for number, line in _lines(path):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(
                    f"Each line must be a JSON object. Received: line {number} of '{path}' ({error})."
                ) from error
            if not isinstance(row, dict):
                raise DataError(
                    f"Each line must be a JSON object. Received: line {number} of '{path}', {line[:60]!r}."
                )
            yield _case(row, finder)

    # A first pass, so that a line that cannot be read is known before the first request.
    total = sum(1 for _ in cases())
    if not total:
        raise DataError(f"The file must have lines. Received: none in '{path}'.")
    return Source(total, cases)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig") as stream:
            for number, line in enumerate(stream, start=1):
                if line.strip():
                    yield number, line
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"The cases must be readable JSON lines in UTF-8. Received: '{path}' ({_reason(error)})."
        ) from error


class _Finder:
    """Finds the images that rows name."""

    def __init__(self, beside: Path, images: Path | None) -> None:
        if images is not None and not images.is_dir():
            raise DataError(f"--images must be a folder. Received: '{images}'.", hint="Check the path.")
        self._folder = images or beside
        self._index: dict[str, list[Path]] | None = None

    def path(self, name: str) -> Path:
        """Return the path that a cell names."""
        return self._folder / name.replace("\\", "/")

    def by_id(self, image_id: str) -> tuple[Path, str]:
        """Return the image of an id, and why it cannot be used if so."""
        if self._index is None:
            self._index = {}
            for path in find_images(self._folder):
                self._index.setdefault(path.stem, []).append(path)
        name = Path(image_id)
        stem = name.stem if name.suffix.lower() in IMAGE_SUFFIXES else image_id
        found = self._index.get(stem, [])
        if len(found) == 1:
            return found[0], ""
        received = ", ".join(f"'{path}'" for path in found) or "none"
        problem = f"There must be one image '{stem}' in '{self._folder}'. Received: {received}."
        return self._folder / image_id, problem


def _case(row: Mapping[str, Any], finder: _Finder) -> Case:
    image_id = _text(row.get(IMAGE_ID))
    name = next((text for column in IMAGE_COLUMNS if (text := _text(row.get(column)))), "")
    image: Path | bytes | str = ""
    problem = ""
    if name:
        image = finder.path(name)
    elif encoded := row.get("image_base64"):
        image, problem = _decoded(encoded)
    elif image_id:
        image, problem = finder.by_id(image_id)
    return Case(
        image=image,
        age=_first(row, AGE_COLUMNS),
        sex=_first(row, ("sex",)),
        localization=_first(row, LOCALIZATION_COLUMNS),
        id=_text(row.get("id")) or image_id or name,
        problem=problem,
    )


def _decoded(text: object) -> tuple[bytes, str]:
    try:
        return base64.b64decode(str(text), validate=True), ""
    except ValueError as error:
        return b"", f"`image_base64` must be base64. Received: {str(text)[:20]!r}... ({error})."


def _first(row: Mapping[str, Any], columns: Sequence[str]) -> Any:
    value = next((row[column] for column in columns if column in row), None)
    return value.strip() if isinstance(value, str) else value


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()


def _suffix(path: Path) -> str:
    return path.suffix.lower()


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
