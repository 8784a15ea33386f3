"""DermaMNIST: HAM10000 made small by MedMNIST, in sizes of 28, 64, 128 and 224 pixels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from skinzoo.api import DataError, DatasetFacts, DatasetRequest, DatasetSpec, Source, hookimpl
from skinzoo_zoo.datasets.archives import ARCHIVES

if TYPE_CHECKING:
    import pandas as pd

NAME = "dermamnist"
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PARTS = {"train": "train", "val": "validation", "test": "test"}
SIZES = (28, 64, 128, 224)
LEAK = (
    "DermaMNIST's parts divide HAM10000 by image, so that images of one lesion lie in several parts; "
    "it has no "
    "lesion ids to tell which."
)


def archives(path: Path) -> dict[int, Path]:
    """Return the files of DermaMNIST that a path names or holds, by image size in pixels."""
    paths = [path] if path.is_file() else sorted(path.glob("dermamnist*.npz")) if path.is_dir() else []
    found = {}
    for candidate in paths:
        match = re.fullmatch(r"dermamnist(?:_(\d+))?\.npz", candidate.name)
        if match:
            found[int(match[1] or SIZES[0])] = candidate
    return found


def recognises(path: Path) -> bool:
    """Tell whether a path is a file of DermaMNIST or a folder with one."""
    return bool(archives(path))


def read(request: DatasetRequest) -> pd.DataFrame:
    """Write the images of one size as PNG files into the cache, once, and read them with their parts."""
    import pandas as pd

    from skinzoo.data.arrays import extracted, stored_labels
    from skinzoo.data.layout import needed_path
    from skinzoo.data.table import make_table

    path = needed_path(request, NAME)
    found = archives(path)
    wanted = request.options["size"]
    size = wanted or (next(iter(found)) if len(found) == 1 else 0)
    if size not in found:
        have = ", ".join(map(str, found)) or "none"
        raise DataError(
            f"DermaMNIST must be of one size, a file dermamnist.npz or dermamnist_SIZE.npz. Received: "
            f"{path} with "
            f"the sizes {have}" + (f", not {wanted}." if wanted else "."),
            hint=f"Choose one with the option size={next(iter(found))}." if found else "Check the path.",
        )
    folder = extracted(found[size], NAME, tuple(PARTS))
    rows = []
    for short, part in PARTS.items():
        labels = stored_labels(found[size], f"{short}_labels")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(CLASSES):
            raise DataError(
                f"Labels of DermaMNIST must be within 0..{len(CLASSES) - 1}. Received: {labels.min()} to "
                f"{labels.max()} in {found[size]}",
                hint="Download it anew.",
            )
        rows += [
            {
                "image_path": str(folder / f"{short}_{number:05d}.png"),
                "image_id": f"{short}_{number:05d}",
                "label": CLASSES[label],
                "part": part,
            }
            for number, label in enumerate(labels)
        ]
    table = make_table(
        pd.DataFrame(rows, columns=["image_path", "image_id", "label", "part"]),
        dataset=NAME,
        classes=CLASSES,
        skip_bad=request.skip_bad,
        notes=[
            f"Images are squashed to {size}x{size} pixels; those of HAM10000 are 600x450.",
            LEAK,
        ],
    )
    table.attrs["parts_leak"] = LEAK
    return table


SPEC = DatasetSpec(
    name=NAME,
    title="DermaMNIST: HAM10000 in 28, 64, 128 or 224 pixels, with MedMNIST's parts",
    source=Source(
        title="MedMNIST v2 - a large-scale lightweight benchmark for biomedical image classification",
        authors="Yang et al. 2023",
        url="https://doi.org/10.5281/zenodo.10519652",
    ),
    notes=(LEAK, "Option size: 28, 64, 128 or 224, where a folder holds several."),
    read=read,
    classes=CLASSES,
    recognises=recognises,
    licence="CC BY-NC 4.0; cite Yang et al. 2023 and Tschandl et al. 2018",
    facts=DatasetFacts(
        class_counts={"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142},
        images=10015,
    ),
    files=ARCHIVES[NAME],
    options={"size": 0},
    has_parts=True,
)


@hookimpl
def skinzoo_datasets() -> list[DatasetSpec]:
    """Return DermaMNIST."""
    return [SPEC]
