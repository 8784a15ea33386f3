"""ISIC 2019: 25,331 training images of eight classes with metadata, and a test part."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.api import DataError, DatasetFacts, DatasetRequest, DatasetSpec, Source, hookimpl
from skinzoo_zoo.datasets.archives import ARCHIVES

if TYPE_CHECKING:
    import pandas as pd

NAME = "isic2019"
CLASSES = ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")
PARTS = {"train": "Training", "test": "Test"}
OTHER = "unk"
LOCALIZATIONS = {
    "anterior torso": "trunk",
    "lateral torso": "trunk",
    "posterior torso": "back",
    "head/neck": "face",
    "palms/soles": "acral",
    "oral/genital": "genital",
}


def ground_truth(root: Path, part: str) -> Path | None:
    """Return the file of labels of a part, or None."""
    from skinzoo.data.layout import find_file

    return find_file(root, f"ISIC_2019_{PARTS[part]}_GroundTruth.csv")


def recognises(path: Path) -> bool:
    """Tell whether a folder holds labels of ISIC 2019."""
    return path.is_dir() and any(ground_truth(path, part) for part in PARTS)


def read(request: DatasetRequest) -> pd.DataFrame:
    """Read the parts that are there; test images of no training class are left out and listed."""
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
    for part, official in PARTS.items():
        truth = ground_truth(root, part) if root.is_dir() else None
        if truth is None:
            notes.append(f"The {part} part is not here.")
            continue
        rows = read_rows(truth, ("image",))
        columns = {name.upper(): name for name in CLASSES}
        if OTHER.upper() in rows.columns:
            columns[OTHER.upper()] = OTHER
        labels = labels_from_one_hot(rows, columns, truth)
        rows = pd.DataFrame({"image_id": rows["image"], "label": labels, "part": part})
        metadata = find_file(root, f"ISIC_2019_{official}_Metadata.csv")
        if metadata is None:
            notes.append(
                f"Age, sex and localization are unknown in the {part} part: its metadata file is not here."
            )
        else:
            facts = read_rows(metadata, ("image", "age_approx", "anatom_site_general", "sex"))
            facts = facts.rename(
                columns={"image": "image_id", "age_approx": "age", "anatom_site_general": "localization"}
            )
            facts["localization"] = [
                LOCALIZATIONS.get(text.strip().lower(), text) for text in facts["localization"]
            ]
            wanted = [
                name for name in ("image_id", "lesion_id", "age", "sex", "localization") if name in facts
            ]
            rows = joined(rows, facts[wanted])
        found.append(rows)
    if not found:
        raise DataError(
            f"A folder of ISIC 2019 must hold ISIC_2019_*_GroundTruth.csv. Received: {root}",
            hint="Put the labels beside the image folders.",
        )
    rows = pd.concat(found, ignore_index=True).fillna("")
    other = rows[rows["label"] == OTHER]
    left_out = [
        {"image_id": image, "path": "", "reason": "The image is of none of the eight classes (UNK)."}
        for image in other["image_id"]
    ]
    if left_out:
        notes.append(f"{len(left_out):,} images of none of the eight classes (UNK) are left out.")
    notes.append(
        "Sites were mapped to the canonical terms: anterior and lateral torso to trunk, posterior "
        "torso to back, "
        "head/neck to face (its commonest site), palms/soles to acral, oral/genital to genital."
    )
    images = index_images([root], accept=lambda name: not is_mask(name))
    return table_of_images(
        rows[rows["label"] != OTHER],
        images,
        request,
        dataset=NAME,
        classes=CLASSES,
        left_out=left_out,
        notes=notes,
    )


SPEC = DatasetSpec(
    name=NAME,
    title="ISIC 2019: 25,331 training images of 8 classes with metadata, and a test part",
    source=Source(
        title="ISIC 2019 challenge (HAM10000, BCN20000 and MSK)",
        authors="Tschandl et al. 2018, Codella et al. 2017, Combalia et al. 2019",
        url="https://challenge.isic-archive.com/landing/2019/",
    ),
    notes=(
        "Contains HAM10000's images under their own ids; never train on one and test on the other.",
        "2,047 test images of no training class (UNK) are left out and listed.",
        "Sites are coarser than HAM10000's and are mapped to its terms.",
    ),
    read=read,
    classes=CLASSES,
    recognises=recognises,
    licence="CC BY-NC 4.0; cite Tschandl et al. 2018, Codella et al. 2017 and Combalia et al. 2019",
    facts=DatasetFacts(
        class_counts={
            "ak": 867 + 374,
            "bcc": 3323 + 975,
            "bkl": 2624 + 660,
            "df": 239 + 91,
            "mel": 4522 + 1327,
            "nv": 12875 + 2495,
            "scc": 628 + 165,
            "vasc": 253 + 104,
        },
        images=25331 + 6191,
    ),
    files=ARCHIVES[NAME],
    has_lesions=True,
    has_parts=True,
)


@hookimpl
def skinzoo_datasets() -> list[DatasetSpec]:
    """Return ISIC 2019."""
    return [SPEC]
