"""HAM10000: 10,015 dermoscopic images of seven classes, with lesion ids and metadata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.api import DataError, DatasetFacts, DatasetRequest, DatasetSpec, Source, hookimpl
from skinzoo_zoo.datasets.archives import ARCHIVES

if TYPE_CHECKING:
    import pandas as pd

NAME = "ham10000"
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
CLASS_COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")
COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")


def metadata_file(path: Path) -> Path | None:
    """Return the metadata file that a path names or holds, or None."""
    if path.is_file():
        return path if path.name in METADATA else None
    return next((path / name for name in METADATA if (path / name).is_file()), None)


def recognises(path: Path) -> bool:
    """Tell whether a path is HAM10000's metadata file or a folder with it, and not one of ISIC 2018."""
    found = metadata_file(path)
    return found is not None and not any(found.parent.glob("ISIC2018_Task3_*GroundTruth*"))


def read(request: DatasetRequest) -> pd.DataFrame:
    """Read the metadata and the images below its folder: in two folders, in one, or nested."""
    from skinzoo.data.layout import index_images, is_mask, needed_path, read_rows, table_of_images

    path = needed_path(request, NAME)
    metadata = metadata_file(path)
    if metadata is None:
        raise DataError(
            f"A folder of HAM10000 must hold one of {', '.join(METADATA)}. Received: {path}",
            hint="Put the metadata file beside the image folders.",
        )
    rows = read_rows(metadata, COLUMNS).rename(columns={"dx": "label", "dx_type": "confirmation"})
    images = index_images([metadata.parent], accept=lambda name: not is_mask(name))
    return table_of_images(
        rows.drop(columns="dataset", errors="ignore"), images, request, dataset=NAME, classes=CLASSES
    )


SPEC = DatasetSpec(
    name=NAME,
    title="HAM10000: 10,015 dermoscopic images of 7 classes, with lesion ids, age, sex and localization",
    source=Source(
        title="The HAM10000 dataset, a large collection of multi-source dermatoscopic images of common "
        "pigmented skin lesions",
        authors="Tschandl et al. 2018",
        url="https://doi.org/10.7910/DVN/DBW86T",
    ),
    notes=(
        "Layouts: the metadata file with the images in two folders, in one folder, or nested below it; the "
        "metadata as CSV or as Dataverse's tab file.",
        "2,545 images show a lesion that another image shows too: split by lesion.",
    ),
    read=read,
    classes=CLASSES,
    recognises=recognises,
    licence="CC BY-NC 4.0; cite Tschandl et al. 2018, Scientific Data 5, 180161",
    facts=DatasetFacts(class_counts=CLASS_COUNTS, images=10015, lesions=7470, image_size=(600, 450)),
    files=ARCHIVES[NAME],
    has_lesions=True,
)


@hookimpl
def skinzoo_datasets() -> list[DatasetSpec]:
    """Return HAM10000."""
    return [SPEC]
