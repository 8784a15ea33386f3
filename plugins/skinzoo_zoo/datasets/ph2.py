"""PH2: 200 dermoscopic images of common nevi, atypical nevi and melanomas."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.api import DataError, DatasetFacts, DatasetRequest, DatasetSpec, Source, hookimpl

if TYPE_CHECKING:
    import pandas as pd

NAME = "ph2"
CLASSES = ("common_nevus", "atypical_nevus", "melanoma")
TABLE = "PH2_dataset.txt"


def recognises(path: Path) -> bool:
    """Tell whether a folder holds PH2's table, or the folder PH2Dataset with it."""
    from skinzoo.data.layout import find_file

    return path.is_dir() and find_file(path, TABLE) is not None


def read(request: DatasetRequest) -> pd.DataFrame:
    """Read the images by the table's column of clinical diagnoses: 0, 1 and 2 in the order of the classes."""
    import pandas as pd

    from skinzoo.data.layout import find_file, index_images, needed_path, table_of_images

    root = needed_path(request, NAME)
    table = find_file(root, TABLE) if root.is_dir() else None
    if table is None:
        raise DataError(
            f"A folder of PH2 must hold {TABLE}. Received: {root}",
            hint="Name the folder PH2Dataset; if only the spreadsheet is there, save it as that text file.",
        )
    lines = [
        [cell.strip() for cell in line.split("||")]
        for line in table.read_text(encoding="utf-8", errors="replace").splitlines()
        if re.match(r"\s*\|\|\s*IMD\d+", line)
    ]
    if any(len(cells) < 4 for cells in lines) or not lines:
        raise DataError(
            f"Rows of {table} must hold a name and two diagnoses between double bars. Received: "
            f"{len(lines)} rows of images.",
            hint="Take the file as it was published.",
        )
    names = dict(zip("012", CLASSES, strict=True))
    rows = pd.DataFrame(
        {
            "image_id": [cells[1] for cells in lines],
            "label": [names.get(cells[3], cells[3]) for cells in lines],
            "confirmation": ["histo" if cells[2] else "clinical" for cells in lines],
        }
    )
    images = index_images([root], accept=lambda name: re.fullmatch(r"IMD\d+", name) is not None)
    return table_of_images(rows, images, request, dataset=NAME, classes=CLASSES)


SPEC = DatasetSpec(
    name=NAME,
    title="PH2: 200 dermoscopic images of common nevi, atypical nevi and melanomas",
    source=Source(
        title="PH2 - a dermoscopic image database for research and benchmarking",
        authors="Mendonca et al. 2013",
        url="https://www.fc.up.pt/addi/ph2%20database.html",
    ),
    notes=(
        "Each image shows a lesion of its own, so no lesion ids are published; no age, sex or localization.",
        "The label is the clinical diagnosis; confirmation is histo where a histological one is given.",
    ),
    read=read,
    classes=CLASSES,
    recognises=recognises,
    licence="Research and education only, on request from the authors; cite Mendonca et al. 2013",
    facts=DatasetFacts(class_counts={"common_nevus": 80, "atypical_nevus": 80, "melanoma": 40}, images=200),
)


@hookimpl
def skinzoo_datasets() -> list[DatasetSpec]:
    """Return PH2."""
    return [SPEC]
