"""Images in one folder a class, also below folders of parts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.api import DataError, DatasetRequest, DatasetSpec, hookimpl

if TYPE_CHECKING:
    import pandas as pd

NAME = "folder"
TABLES = ("*.csv", "*.tsv", "*.tab", "*.txt", "*.npz", "*.toml", "*.json", "HAM10000_metadata")
NOT_CLASSES = re.compile(
    r"(images?|inputs?|data|masks?|pictures?|photos?|groundtruth)([_ -]?(part)?[_ -]?\d*)?$", re.I
)


def folders(path: Path) -> list[Path]:
    """Return the visible folders in a folder, by name."""
    return sorted(
        entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith((".", "__", "@"))
    )


def parts(root: Path) -> dict[str, Path]:
    """Return the folders of parts, by the canonical name of the part; empty where there are none.

    Raises:
        DataError: Two folders stand for one part.
    """
    from skinzoo.data.protocols import PART_NAMES

    found: dict[str, Path] = {}
    inside = folders(root)
    if not inside or any(folder.name.lower() not in PART_NAMES for folder in inside):
        return {}
    for folder in inside:
        part = PART_NAMES[folder.name.lower()]
        if part in found:
            raise DataError(
                f"One folder must stand for the part '{part}'. Received: {found[part].name} and "
                f"{folder.name} in "
                f"{root}",
                hint="Join or rename them.",
            )
        found[part] = folder
    return found


def recognises(path: Path) -> bool:
    """Tell whether a folder has no table but at least two folders of images that are named like classes."""
    from skinzoo.data.layout import IMAGE_SUFFIXES

    if not path.is_dir() or any(next(path.glob(pattern), None) for pattern in TABLES):
        return False
    roots = list(parts(path).values()) or [path]
    classes = [folder for root in roots for folder in folders(root)]
    holding = [
        folder.name
        for folder in classes
        if any(entry.suffix.lower() in IMAGE_SUFFIXES for entry in folder.iterdir())
    ]
    return len(set(holding)) > 1 and not any(NOT_CLASSES.search(name) for name in holding)


def read(request: DatasetRequest) -> pd.DataFrame:
    """Read the images below each folder of a class; their ids are their paths below the named folder."""
    from skinzoo.data.layout import index_images, needed_path, not_read, walk_files
    from skinzoo.data.table import make_table

    root = needed_path(request, NAME)
    if not root.is_dir():
        raise DataError(
            f"Dataset '{NAME}' must be given a folder with one folder a class. Received: {root}",
            hint="Name the folder above.",
        )
    sources = parts(root) or {"": root}
    named = sorted({folder.name for source in sources.values() for folder in folders(source)})
    chosen = [name.strip() for name in str(request.options["classes"]).split(",") if name.strip()]
    classes = chosen or named
    absent = [name for name in classes if name not in named]
    if absent or not named:
        raise DataError(
            "Each class must have a folder. Received: "
            + (f"none for '{absent[0]}' in {root}" if absent else f"no folders in {root}")
            + (f", which has {', '.join(named)}." if named else "."),
            hint="Put the images of each class into a folder of its name.",
        )
    rows, left_out, notes = [], [], []
    held = dict.fromkeys(named, 0)
    for part, source in sources.items():
        for folder in folders(source):
            index = index_images([folder])
            paths = [*index.paths.values(), *(path for more in index.repeated.values() for path in more)]
            held[folder.name] += len(paths)
            left_out += not_read(index)
            for path in sorted(paths):
                image_id = Path(path).relative_to(root).as_posix()
                if folder.name in classes:
                    rows.append(
                        {"image_path": path, "image_id": image_id, "label": folder.name, "part": part}
                    )
                else:
                    left_out.append(
                        {
                            "image_id": image_id,
                            "path": path,
                            "reason": f"Its folder '{folder.name}' is not among the chosen classes.",
                        }
                    )
    empty = [name for name in classes if not held[name]]
    if empty and not request.skip_bad:
        raise DataError(
            f"Each folder of a class must hold images. Received: none in '{empty[0]}' of {root}.",
            hint="Remove the folder, or pass --skip-bad to leave the class out.",
        )
    if empty:
        notes.append(f"Classes without images were left out: {', '.join(empty)}.")
        classes = [name for name in classes if held[name]]
    stray = [
        entry.path
        for source in {root, *sources.values()}
        for entry in walk_files(source, deep=False)
        if Path(entry.path).suffix.lower() in (".jpg", ".jpeg", ".png", ".bmp")
    ]
    left_out += [
        {"image_id": Path(path).name, "path": path, "reason": "The image lies in no folder of a class."}
        for path in sorted(stray)
    ]
    if left_out:
        notes.append(
            f"{len(left_out):,} files were left out: in no class that was read, or not JPEG, PNG or BMP."
        )
    import pandas as pd

    return make_table(
        pd.DataFrame(rows, columns=["image_path", "image_id", "label", "part"]),
        dataset=NAME,
        classes=classes,
        skip_bad=request.skip_bad,
        left_out=left_out,
        notes=notes,
    )


SPEC = DatasetSpec(
    name=NAME,
    title="Your own images: one folder a class, also below train, validation and test folders",
    notes=(
        "Classes are the folders' names in alphabetical order, or those of the option classes, "
        "joined by commas.",
        "No lesion ids, age, sex or localization; for those use a table and the dataset csv.",
    ),
    read=read,
    classes=None,
    recognises=recognises,
    licence="Your own",
    options={"classes": ""},
    has_parts=True,
)


@hookimpl
def skinzoo_datasets() -> list[DatasetSpec]:
    """Return the reader of folders."""
    return [SPEC]
