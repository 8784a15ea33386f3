"""Any table of images: columns are mapped by options, by a small TOML file, or by their usual names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.api import DataError, DatasetRequest, DatasetSpec, hookimpl

if TYPE_CHECKING:
    import pandas as pd

NAME = "csv"
SUFFIXES = (".csv", ".tsv", ".tab")


def recognises(path: Path) -> bool:
    """Tell whether a path is a table with usual column names, or has a TOML file that maps them."""
    from skinzoo.data.layout import read_rows
    from skinzoo.data.mapping import USUAL, mapping_file

    if mapping_file(path) is not None:
        return path.is_dir() or path.suffix.lower() in SUFFIXES
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        return False
    try:
        columns = set(read_rows(path, limit=0).columns)
    except DataError:
        return False
    # image_id and dx alone are the signature of HAM10000 and its kin, which have readers of their own.
    return bool(columns & set(USUAL["image"]) - {"image_id"}) and bool(columns & set(USUAL["label"]) - {"dx"})


def read(request: DatasetRequest) -> pd.DataFrame:
    """Read a table and the images that it names."""
    import pandas as pd

    from skinzoo.data.layout import index_images, need_columns, needed_path, not_read, read_rows
    from skinzoo.data.mapping import FIELDS, TOML, USUAL, ColumnMapping, mapping_file, read_mapping
    from skinzoo.data.protocols import PART_NAMES
    from skinzoo.data.table import make_table

    path = needed_path(request, NAME)
    described = mapping_file(path)
    mapping = read_mapping(described) if described else ColumnMapping()
    if path.is_dir():
        if not mapping.table:
            raise DataError(
                f"A folder must hold {TOML} with the key 'table' that names the table. Received: {path}",
                hint="Name the table itself: --data TABLE.csv",
            )
        path = path / mapping.table
    if not path.is_file():
        raise DataError(f"The table must exist. Received: {path}", hint=f"Correct 'table' in {described}.")
    source = read_rows(path)
    columns = {}
    for name in FIELDS:
        stated = str(request.options[name]) or mapping.columns.get(name, "")
        if stated:
            need_columns(source, [stated], path)
        usual = [column for column in USUAL.get(name, (name,)) if column in source.columns]
        if stated or usual:
            columns[name] = stated or usual[0]
    for name in ("image", "label"):
        if name not in columns:
            need_columns(source, [name], path)
    rows = pd.DataFrame({name: source[column].str.strip() for name, column in columns.items()}, dtype=str)
    for name, values in mapping.values.items():
        if name in rows:
            rows[name] = [values.get(text, text) for text in rows[name]]
    if "part" in rows:
        rows["part"] = [PART_NAMES.get(text.lower(), text) for text in rows["part"]]
    if "image_id" not in rows:
        rows["image_id"] = [_without_suffix(text) for text in rows["image"]]
    folder = path.parent / (str(request.options["images"]) or mapping.images)
    if not folder.is_dir():
        raise DataError(
            f"The folder of the images must exist. Received: {folder}", hint="Correct the option images."
        )
    index = index_images([folder])
    rows["image_path"] = [_found(text, folder, index.paths) for text in rows["image"]]
    used = set(rows["image_path"])
    everything = [*index.paths.values(), *(more for paths in index.repeated.values() for more in paths)]
    left_out = [
        {"image_id": Path(image).stem, "path": image, "reason": "The image has no row in the table."}
        for image in sorted(everything)
        if image not in used
    ]
    notes = (
        [f"{len(left_out):,} images on disk have no row in the table and are left out."] if left_out else []
    )
    chosen = [name.strip() for name in str(request.options["classes"]).split(",") if name.strip()]
    classes = chosen or list(mapping.classes) or sorted(set(rows["label"]) - {""})
    return make_table(
        rows.drop(columns="image"),
        dataset=NAME,
        classes=classes,
        skip_bad=request.skip_bad,
        left_out=[*left_out, *not_read(index)],
        notes=notes,
    )


def _without_suffix(text: str) -> str:
    from skinzoo.data.layout import IMAGE_SUFFIXES

    path = Path(text.replace("\\", "/"))
    return path.with_suffix("").as_posix() if path.suffix.lower() in IMAGE_SUFFIXES else path.as_posix()


def _found(text: str, folder: Path, paths: dict[str, str]) -> str:
    """Return the image that a cell names: by a path, with its suffix or without, or by a bare name."""
    from skinzoo.data.layout import IMAGE_SUFFIXES

    if not text:
        return ""
    named = folder / text.replace("\\", "/")
    if named.suffix.lower() in IMAGE_SUFFIXES and named.is_file():
        return str(named)
    for suffix in sorted(IMAGE_SUFFIXES):
        if (candidate := named.with_name(named.name + suffix)).is_file():
            return str(candidate)
    return paths.get(Path(_without_suffix(text)).name, "")


SPEC = DatasetSpec(
    name=NAME,
    title="Your own table of images, with columns mapped by options or by a small TOML file",
    notes=(
        "Options name the columns: image, label, image_id, lesion_id, age, sex, localization, "
        "confirmation, part; "
        "images is the folder of the images and classes the class names in order, joined by commas.",
        "The same may stand in a TOML file of the table's name or in skinzoo.toml beside it, with a table "
        "[values.localization] (or label, sex, part) that translates values.",
    ),
    read=read,
    classes=None,
    recognises=recognises,
    licence="Your own",
    options={
        "image": "",
        "label": "",
        "image_id": "",
        "lesion_id": "",
        "age": "",
        "sex": "",
        "localization": "",
        "confirmation": "",
        "part": "",
        "images": "",
        "classes": "",
    },
    has_lesions=True,
    has_parts=True,
)


@hookimpl
def skinzoo_datasets() -> list[DatasetSpec]:
    """Return the reader of tables."""
    return [SPEC]
