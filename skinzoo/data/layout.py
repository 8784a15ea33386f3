"""What the readers of datasets share: finding images, reading tables, joining the two."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from skinzoo.data.table import make_table
from skinzoo.errors import DataError, nearest
from skinzoo.specs import DatasetRequest, Vocabularies

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp"})
OTHER_IMAGE_SUFFIXES = frozenset({".tif", ".tiff", ".gif", ".webp", ".dcm", ".heic", ".jp2", ".jfif"})
SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir"})


@dataclass(frozen=True)
class ImageIndex:
    """Images found on disk.

    Args:
        paths: Path of each image, by its file name without suffix.
        repeated: Further paths of names that occur more than once.
        unreadable: Image files of kinds that are not read.
    """

    paths: dict[str, str] = field(default_factory=dict)
    repeated: dict[str, list[str]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def needed_path(request: DatasetRequest, dataset: str) -> Path:
    """Return the request's path as an absolute one.

    Raises:
        DataError: There is none, or nothing lies there.
    """
    if request.path is None:
        raise DataError(
            f"Dataset '{dataset}' must be given a path. Received: none.", hint="Name it with --data PATH"
        )
    path = request.path.expanduser().absolute()
    if not path.exists():
        raise DataError(
            f"The path of dataset '{dataset}' must exist. Received: {path}", hint="Check its spelling."
        )
    return path


def walk_files(root: Path, *, deep: bool = True) -> Iterator[os.DirEntry[str]]:
    """Yield the files under a folder in order of their paths, hidden and system ones excepted.

    Args:
        root: The folder.
        deep: Whether to go into the folders below.

    Raises:
        DataError: A folder cannot be listed.
    """
    try:
        with os.scandir(root) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"The folder must be readable. Received: {root} ({error.strerror}).",
            hint="Check its permissions.",
        ) from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name in SYSTEM_FOLDERS:
            continue
        if entry.is_dir():
            if deep:
                yield from walk_files(Path(entry.path))
        else:
            yield entry


def index_images(roots: Iterable[Path], accept: Callable[[str], bool] = lambda name: True) -> ImageIndex:
    """Find the images under some folders.

    Args:
        roots: Folders, searched in order.
        accept: Whether a file name without suffix counts; masks do not.
    """
    index = ImageIndex()
    for root in roots:
        for entry in walk_files(root):
            name, suffix = Path(entry.name).stem, Path(entry.name).suffix
            if suffix.lower() in OTHER_IMAGE_SUFFIXES and accept(name):
                index.unreadable.append(entry.path)
            elif suffix.lower() in IMAGE_SUFFIXES and accept(name):
                if name in index.paths:
                    index.repeated.setdefault(name, []).append(entry.path)
                else:
                    index.paths[name] = entry.path
    return index


def is_mask(name: str) -> bool:
    """Tell whether a file name without suffix is that of a lesion mask."""
    lower = name.lower()
    return lower.endswith(("_segmentation", "_mask", "_lesion", "_superpixels")) or "_attribute_" in lower


def read_rows(path: Path, required: Sequence[str] = (), limit: int | None = None) -> pd.DataFrame:
    """Read a CSV or tab-separated file, every cell as text.

    Args:
        path: The file; UTF-8, with or without a byte order mark.
        required: Columns that must be there.
        limit: How many rows to read; all of them unless given.

    Raises:
        DataError: The file cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        rows = pd.read_csv(
            path,
            sep="\t" if "\t" in header else ";" if ";" in header and "," not in header else ",",
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            nrows=limit,
        )
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataError(
            f"The table must be a readable CSV file in UTF-8. Received: {path} "
            f"({' '.join(str(error).split())}).",
            hint="Save it anew as CSV in UTF-8.",
        ) from error
    rows.columns = [str(column).strip() for column in rows.columns]
    need_columns(rows, required, path)
    return rows


def need_columns(rows: pd.DataFrame, required: Iterable[str], path: Path) -> None:
    """Raise DataError with the nearest names where a table lacks a column."""
    missing = [column for column in required if column not in rows.columns]
    if missing:
        match = nearest(missing[0], [str(column) for column in rows.columns])
        raise DataError(
            f"{path} must have the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}. "
            f"Received: {', '.join(rows.columns)}.",
            hint=f"Is it '{match}'? Rename it." if match else "Check that it is the right file.",
        )


def find_file(root: Path, name: str) -> Path | None:
    """Return a file of a challenge from a folder or from up to two levels deeper; None if absent."""
    for pattern in (name, f"*/{name}", f"*/*/{name}"):
        found = sorted(path for path in root.glob(pattern) if path.is_file())
        if found:
            return found[0]
    return None


def joined(rows: pd.DataFrame, facts: pd.DataFrame, key: str = "image_id") -> pd.DataFrame:
    """Add the columns of another table to rows of the same images.

    Images that the other table does not have get empty cells.

    Rows keep their order; where both have a column, a cell that is not empty in `rows` is kept.

    Args:
        rows: Rows, cells as text.
        facts: At most one row for each image.
        key: Name of the id column.

    Raises:
        DataError: An id stands in several rows of `facts`.
    """
    repeated = facts[key][facts[key].duplicated()]
    if len(repeated):
        raise DataError(
            f"Each image must stand once in a metadata table. Received: '{repeated.iloc[0]}' several times.",
            hint="Correct the table.",
        )
    facts = facts.set_index(key)
    rows = rows.copy()
    for column in facts.columns:
        added = rows[key].map(facts[column]).fillna("")
        rows[column] = rows[column].where(rows[column] != "", added) if column in rows else added
    return rows


def labels_from_one_hot(rows: pd.DataFrame, columns: Mapping[str, str], path: Path) -> list[str]:
    """Return the label of each row of a one-hot table; `""` where no column is set.

    Args:
        rows: The table, cells as text.
        columns: Column to label.
        path: Where it was read from, for errors.

    Raises:
        DataError: A cell is not a number, or a row sets several columns.
    """
    need_columns(rows, columns, path)
    try:
        numbers = rows[list(columns)].apply(pd.to_numeric)
    except (ValueError, TypeError) as error:
        raise DataError(
            f"The columns {', '.join(columns)} of {path} must hold 0 and 1. Received: {error}.",
            hint="Check that it is the right file.",
        ) from error
    chosen = numbers.to_numpy(dtype=float) >= 0.5
    several = chosen.sum(axis=1) > 1
    if several.any():
        raise DataError(
            f"Each row of {path} must set one class. Received: several in row {int(several.argmax()) + 2}.",
            hint="Correct the file.",
        )
    names = list(columns.values())
    return [names[row.argmax()] if row.any() else "" for row in chosen]


def table_of_images(
    rows: pd.DataFrame,
    images: ImageIndex,
    request: DatasetRequest,
    *,
    dataset: str,
    classes: Sequence[str],
    vocabularies: Vocabularies | None = None,
    left_out: Sequence[Mapping[str, str]] = (),
    notes: Iterable[str] = (),
) -> pd.DataFrame:
    """Join rows with the images of their ids and make the canonical table.

    An image without a row is listed in `attrs["left_out"]` and counted in the notes; a row without an image
    breaks a rule of the table. The arguments are those of `make_table`; ids in `left_out` are known already
    and not counted again.
    """
    rows = rows.reset_index(drop=True).copy()
    ids = [str(name).strip() for name in rows["image_id"]]
    rows["image_path"] = [images.paths.get(name, "") for name in ids]
    known = set(ids) | {entry["image_id"] for entry in left_out}
    extra = [
        {"image_id": name, "path": path, "reason": "The image has no row in the table."}
        for name, path in images.paths.items()
        if name not in known
    ]
    notes = list(notes)
    if extra:
        notes.append(f"{len(extra):,} images on disk have no row in the table and are left out.")
    if images.repeated:
        first = next(iter(images.repeated))
        notes.append(
            f"{len(images.repeated):,} image names occur more than once on disk ('{first}' first); "
            f"the file that "
            f"comes first in the order of paths is used."
        )
    return make_table(
        rows,
        dataset=dataset,
        classes=classes,
        vocabularies=vocabularies,
        skip_bad=request.skip_bad,
        left_out=[*left_out, *extra, *not_read(images)],
        notes=notes,
    )


def not_read(images: ImageIndex) -> list[dict[str, str]]:
    """Return the left-out entries of image files of kinds that are not read."""
    return [
        {
            "image_id": Path(path).stem,
            "path": path,
            "reason": f"Images must be JPEG, PNG or BMP files. Received: '{Path(path).suffix}'.",
        }
        for path in images.unreadable
    ]


def image_sizes(paths: Sequence[str], limit: int = 16) -> dict[tuple[int, int], int]:
    """Return how often each (width, height) occurs among evenly spaced images.

    Unreadable files are passed over.

    Args:
        paths: Image files; only their headers are read.
        limit: How many to open.
    """
    from PIL import Image

    sizes: dict[tuple[int, int], int] = {}
    for path in paths[:: max(1, len(paths) // limit)][:limit]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(path) as image:
                    sizes[image.size] = sizes.get(image.size, 0) + 1
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            continue
    return sizes
