"""ISIC 2018, task 3: HAM10000 as training part, with official validation and test parts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.api import DataError, DatasetFacts, DatasetRequest, DatasetSpec, Source, hookimpl
from skinzoo_zoo.datasets.archives import ARCHIVES

if TYPE_CHECKING:
    import pandas as pd

NAME = "isic2018"
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PARTS = {"train": "Training", "validation": "Validation", "test": "Test"}
CONFIRMATIONS = {
    "histopathology": "histo",
    "serial imaging showing no change": "follow_up",
    "single image expert consensus": "consensus",
    "confocal microscopy with consensus dermoscopy": "confocal",
}
METADATA = ("HAM10000_metadata.csv", "HAM10000_metadata.tab", "HAM10000_metadata")


def ground_truth(root: Path, part: str) -> Path | None:
    """Return the file of labels of a part, or None."""
    from skinzoo.data.layout import find_file

    return find_file(root, f"ISIC2018_Task3_{PARTS[part]}_GroundTruth.csv")


def recognises(path: Path) -> bool:
    """Tell whether a folder holds labels of ISIC 2018, task 3."""
    return path.is_dir() and any(ground_truth(path, part) for part in PARTS)


def read(request: DatasetRequest) -> pd.DataFrame:
    """Read the parts that are there, with the lesion groupings and metadata that lie beside."""
    import pandas as pd

    from skinzoo.data.layout import (
        find_file,
        index_images,
        is_mask,
        joined,
        labels_from_one_hot,
        needed_path,
        read_rows,
        table_of_images,
    )

    root = needed_path(request, NAME)
    found, notes = [], []
    for part in PARTS:
        truth = ground_truth(root, part) if root.is_dir() else None
        if truth is None:
            notes.append(f"The {part} part is not here.")
            continue
        rows = read_rows(truth, ("image",))
        labels = labels_from_one_hot(rows, {name.upper(): name for name in CLASSES}, truth)
        found.append(pd.DataFrame({"image_id": rows["image"], "label": labels, "part": part}))
    if not found:
        raise DataError(
            f"A folder of ISIC 2018 must hold ISIC2018_Task3_*_GroundTruth.csv. Received: {root}",
            hint="Put the labels of task 3 beside the image folders.",
        )
    rows = pd.concat(found, ignore_index=True)
    groupings = find_file(root, "ISIC2018_Task3_Training_LesionGroupings.csv")
    if groupings is None:
        notes.append("Lesion ids are unknown: ISIC2018_Task3_Training_LesionGroupings.csv is not here.")
    else:
        facts = read_rows(groupings, ("image", "lesion_id", "diagnosis_confirm_type"))
        facts = facts.rename(columns={"image": "image_id", "diagnosis_confirm_type": "confirmation"})
        facts["confirmation"] = [CONFIRMATIONS.get(text.strip(), text) for text in facts["confirmation"]]
        rows = joined(rows, facts[["image_id", "lesion_id", "confirmation"]])
    metadata = next((path for name in METADATA if (path := find_file(root, name))), None)
    if metadata is None:
        notes.append(
            "Age, sex and localization are unknown: the challenge publishes none. For the training part put "
            "HAM10000_metadata.csv into the folder."
        )
    else:
        facts = read_rows(metadata, ("image_id", "lesion_id", "age", "sex", "localization"))
        rows = joined(rows, facts[["image_id", "lesion_id", "age", "sex", "localization"]])
    images = index_images([root], accept=lambda name: not is_mask(name))
    return table_of_images(rows, images, request, dataset=NAME, classes=CLASSES, notes=notes)


SPEC = DatasetSpec(
    name=NAME,
    title="ISIC 2018 task 3: HAM10000 for training, 193 images for validation and 1,512 for the test",
    source=Source(
        title="Skin lesion analysis toward melanoma detection 2018",
        authors="Codella et al. 2019",
        url="https://arxiv.org/abs/1902.03368",
    ),
    notes=(
        "The training part is HAM10000, with the same image ids; never train on one and test on the other.",
        "The class order is HAM10000's, not that of the challenge's columns, so that models fit both.",
        "Only training images have lesion ids, and metadata only where HAM10000_metadata.csv lies in "
        "the folder.",
    ),
    read=read,
    classes=CLASSES,
    recognises=recognises,
    licence="CC BY-NC 4.0; cite Codella et al., arXiv 1902.03368, and Tschandl et al. 2018",
    facts=DatasetFacts(
        class_counts={
            "akiec": 327 + 8 + 43,
            "bcc": 514 + 15 + 93,
            "bkl": 1099 + 22 + 217,
            "df": 115 + 1 + 44,
            "mel": 1113 + 21 + 171,
            "nv": 6705 + 123 + 909,
            "vasc": 142 + 3 + 35,
        },
        images=10015 + 193 + 1512,
    ),
    files=ARCHIVES[NAME],
    has_lesions=True,
    has_parts=True,
)


@hookimpl
def skinzoo_datasets() -> list[DatasetSpec]:
    """Return ISIC 2018."""
    return [SPEC]
