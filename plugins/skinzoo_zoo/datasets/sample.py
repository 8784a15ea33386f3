"""The built-in sample of synthetic lesions, drawn when it is first read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.api import DatasetRequest, DatasetSpec, hookimpl

if TYPE_CHECKING:
    import pandas as pd

NAME = "sample"
DESCRIPTION = "sample.json"


def recognises(path: Path) -> bool:
    """Tell whether a folder holds a sample that was drawn before."""
    return (path / DESCRIPTION).is_file()


def read(request: DatasetRequest) -> pd.DataFrame:
    """Read the sample of the given options, drawing it first where needed, or the one in the given folder."""
    from skinzoo.data.layout import index_images, needed_path, read_rows, table_of_images
    from skinzoo.data.sample import CLASSES, COLUMNS, IMAGES, METADATA, SampleOptions, sample_folder

    folder = (
        sample_folder(SampleOptions(**request.options))
        if request.path is None
        else needed_path(request, NAME)
    )
    rows = read_rows(folder / METADATA, COLUMNS).rename(columns={"dx": "label", "dx_type": "confirmation"})
    return table_of_images(
        rows,
        index_images([folder / IMAGES]),
        request,
        dataset=NAME,
        classes=CLASSES,
        notes=["Drawn lesions, not photographs: results on them say nothing about skin."],
    )


SPEC = DatasetSpec(
    name=NAME,
    title="Built-in sample: drawn lesions of the seven HAM10000 classes, nothing to download",
    notes=("For trying commands with nothing downloaded; results on it say nothing about skin.",),
    read=read,
    classes=("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"),
    recognises=recognises,
    licence="Apache-2.0, as skinzoo itself",
    options={"images": 420, "width": 120, "seed": 0},
    has_lesions=True,
)


@hookimpl
def skinzoo_datasets() -> list[DatasetSpec]:
    """Return the sample."""
    return [SPEC]
