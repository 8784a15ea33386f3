"""ISIC 2017, part 3: melanoma, seborrheic keratosis and nevus, and the binary tasks made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.api import (
    DataError,
    DatasetFacts,
    DatasetRequest,
    DatasetSpec,
    Source,
    UsageError,
    hookimpl,
)
from skinzoo_zoo.datasets.archives import ARCHIVES

if TYPE_CHECKING:
    import pandas as pd

NAME = "isic2017"
MELANOMA, KERATOSIS, NEVUS = "melanoma", "seborrheic_keratosis", "nevus"
CLASSES = (MELANOMA, KERATOSIS, NEVUS)
PARTS = {"train": "Training", "validation": "Validation", "test": "Test_v2"}


@dataclass(frozen=True)
class Task:
    """Which classes a task tells apart.

    Args:
        classes: Class names in order.
        labels: New label of each published class; a class without one is left out.
    """

    classes: tuple[str, ...]
    labels: Mapping[str, str]


TASKS = {
    "three": Task(CLASSES, {name: name for name in CLASSES}),
    "melanoma": Task(("rest", MELANOMA), {MELANOMA: MELANOMA, KERATOSIS: "rest", NEVUS: "rest"}),
    "keratosis": Task(("rest", KERATOSIS), {KERATOSIS: KERATOSIS, MELANOMA: "rest", NEVUS: "rest"}),
    "nevus_keratosis": Task((NEVUS, KERATOSIS), {NEVUS: NEVUS, KERATOSIS: KERATOSIS}),
}


def ground_truth(root: Path, part: str) -> Path | None:
    """Return the file of labels of a part, or None."""
    from skinzoo.data.layout import find_file

    return find_file(root, f"ISIC-2017_{PARTS[part]}_Part3_GroundTruth.csv")


def recognises(path: Path) -> bool:
    """Tell whether a folder holds labels of ISIC 2017, part 3."""
    return path.is_dir() and any(ground_truth(path, part) for part in PARTS)


def read(request: DatasetRequest) -> pd.DataFrame:
    """Read the parts that are there and label them for the task."""
    import pandas as pd

    from skinzoo.data.layout import (
        find_file,
        image_sizes,
        index_images,
        is_mask,
        joined,
        labels_from_one_hot,
        needed_path,
        read_rows,
        table_of_images,
    )

    root = needed_path(request, NAME)
    task = TASKS.get(str(request.options["task"]))
    if task is None:
        raise UsageError(
            f"Option `task` of dataset '{NAME}' must be one of {', '.join(TASKS)}. "
            f"Received: '{request.options['task']}'."
        )
    found, notes = [], []
    for part, official in PARTS.items():
        truth = ground_truth(root, part) if root.is_dir() else None
        if truth is None:
            notes.append(f"The {part} part is not here.")
            continue
        rows = read_rows(truth, ("image_id", MELANOMA, KERATOSIS))
        labels = labels_from_one_hot(rows, {MELANOMA: MELANOMA, KERATOSIS: KERATOSIS}, truth)
        rows = pd.DataFrame({"image_id": rows["image_id"], "label": [name or NEVUS for name in labels]})
        metadata = find_file(root, f"ISIC-2017_{official}_Data_metadata.csv")
        if metadata is None:
            notes.append(f"Age and sex are unknown in the {part} part: its metadata file is not here.")
        else:
            facts = read_rows(metadata, ("image_id", "age_approximate", "sex"))
            rows = joined(rows, facts[["image_id", "age_approximate", "sex"]])
        found.append(rows.assign(part=part))
    if not found:
        raise DataError(
            f"A folder of ISIC 2017 must hold ISIC-2017_*_Part3_GroundTruth.csv. Received: {root}",
            hint="Put the labels of part 3 beside the image folders.",
        )
    rows = pd.concat(found, ignore_index=True).fillna("").rename(columns={"age_approximate": "age"})
    unlabelled = rows[~rows["label"].isin(list(task.labels))]
    left_out = [
        {
            "image_id": image,
            "path": "",
            "reason": f"Class '{label}' is not part of task '{request.options['task']}'.",
        }
        for image, label in zip(unlabelled["image_id"], unlabelled["label"], strict=True)
    ]
    if left_out:
        notes.append(f"{len(left_out):,} images are of classes that the task leaves out.")
    rows = rows[rows["label"].isin(list(task.labels))]
    rows = rows.assign(label=[task.labels[name] for name in rows["label"]])
    images = index_images([root], accept=lambda name: not is_mask(name))
    table = table_of_images(
        rows, images, request, dataset=NAME, classes=task.classes, left_out=left_out, notes=notes
    )
    sizes = image_sizes(table["image_path"].tolist())
    if len(sizes) == 1 and (size := next(iter(sizes)))[0] == size[1]:
        table.attrs["notes"].append(
            f"Images are squashed to {size[0]}x{size[1]} pixels; the published ones have about 540x722 to "
            "4499x6748 pixels and keep their proportions."
        )
    return table


SPEC = DatasetSpec(
    name=NAME,
    title="ISIC 2017 part 3: 2,750 images of melanoma, seborrheic keratosis and nevus in official parts",
    source=Source(
        title="Skin lesion analysis toward melanoma detection: a challenge at ISBI 2017",
        authors="Codella et al. 2017",
        url="https://arxiv.org/abs/1710.05006",
    ),
    notes=(
        "Option task: three (all classes), melanoma or keratosis (each against the rest), "
        "nevus_keratosis (the "
        "two classes of Datta et al. 2021; melanoma is left out and listed).",
        "No lesion or patient ids, no localization; no metadata for the test part.",
    ),
    read=read,
    classes=CLASSES,
    recognises=recognises,
    licence="CC0; cite Codella et al., arXiv 1710.05006",
    facts=DatasetFacts(class_counts={MELANOMA: 521, KERATOSIS: 386, NEVUS: 1843}, images=2750),
    files=ARCHIVES[NAME],
    options={"task": "three"},
    has_parts=True,
)


@hookimpl
def skinzoo_datasets() -> list[DatasetSpec]:
    """Return ISIC 2017."""
    return [SPEC]
