"""Which cases are explained: given images, a part of a run's data, or other data."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from skinzoo.data.read import read_dataset
from skinzoo.data.splits import Split
from skinzoo.errors import DataError, UsageError, one_of
from skinzoo.training.prepare import read_cases
from skinzoo.training.runs import SPLIT_FILE
from skinzoo.vocabulary import OUT_OF_VOCABULARY

if TYPE_CHECKING:
    from skinzoo.runs import Run

ALL_PARTS, IMAGES = "all", "images"


@dataclass(frozen=True)
class Source:
    """The cases to explain and where they come from.

    Args:
        table: `image_path`, `image_id`, `age`, `sex`, `localization`, `label` and `lesion_id`; the last two
            empty where unknown.
        name: What they are, for headings and folder names.
        dataset: Name of the dataset; empty for given images.
        split: The run's split, for cases of its own data.
        notes: What a reader should know of them.
    """

    table: pd.DataFrame
    name: str
    dataset: str = ""
    split: Split | None = None
    notes: tuple[str, ...] = ()


def images_source(
    run: Run, paths: Sequence[Path], *, age: float | None = None, sex: str = "", localization: str = ""
) -> Source:
    """Return given image files as cases.

    Args:
        run: The run.
        paths: The files.
        age: Age in years of all of them; unknown unless given.
        sex: Sex; unknown where empty.
        localization: Localization; unknown where empty.

    Raises:
        UsageError: `sex` or `localization` is none of the model's terms.
    """
    for vocabulary, value in ((run.vocabularies.sex, sex), (run.vocabularies.localization, localization)):
        if vocabulary.indices([value])[0] == OUT_OF_VOCABULARY:
            raise one_of(vocabulary.name, value, vocabulary.terms)
    names = [path.stem for path in paths]
    # Two folders may hold files of one name.
    ids = [
        f"{name}-{names[:i].count(name) + 1}" if name in names[:i] else name for i, name in enumerate(names)
    ]
    table = pd.DataFrame({"image_path": [str(path) for path in paths], "image_id": ids})
    return Source(
        table.assign(age=age, sex=sex, localization=localization, label="", lesion_id=""), name=IMAGES
    )


def part_source(run: Run, part: str = "test", *, data: str | None = None) -> Source:
    """Return the cases of a part of a run's split.

    Args:
        run: The run.
        part: `train`, `validation`, `test` or `all`.
        data: Where the data lie now; where they were at training unless given.

    Raises:
        DataError: The data are not those of the split, or the part is empty.
        UsageError: There is no such part.
    """
    config = run.folder.config()
    if data is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, path=data))
    cases = read_cases(config, Split.load(run.path / SPLIT_FILE))
    table = cases.table if part == ALL_PARTS else cases.part(part)
    found = part if part == ALL_PARTS else cases.split.resolve(part)
    if table.empty:
        raise DataError(
            f"The {part} part of run '{run.name}' must hold cases. Received: none.",
            hint="Choose another --part, or explain given images.",
        )
    notes = []
    if found in ("train", ALL_PARTS):
        notes.append("The model was trained on these images, or on some of them.")
    return Source(_with_lesions(table), found, cases.split.dataset, cases.split, tuple(notes))


def dataset_source(path: str, *, dataset: str | None = None) -> Source:
    """Return all cases of other data than the run's.

    Args:
        path: Folder or file of the data.
        dataset: Which dataset it is; recognised unless given.

    Raises:
        DataError: The data cannot be read.
    """
    table = read_dataset(Path(path), dataset)
    name = str(table.attrs["dataset"])
    return Source(_with_lesions(table), f"external-{name}", name, notes=tuple(table.attrs["notes"]))


def chosen_rows(table: pd.DataFrame, number: int) -> list[int]:
    """Return positions of cases to draw: the first of each class, then the second, and so on.

    Raises:
        UsageError: `number` is below 1.
    """
    if number < 1:
        raise UsageError(f"`pictured` must be at least 1. Received: {number}.")
    turn = table.groupby("label", sort=False).cumcount()
    order = pd.DataFrame({"turn": turn, "label": table["label"]}).sort_values(
        ["turn", "label"], kind="stable"
    )
    return sorted(int(i) for i in order.index[:number])


def _with_lesions(table: pd.DataFrame) -> pd.DataFrame:
    table = table.reset_index(drop=True)
    if "lesion_id" not in table:
        return table.assign(lesion_id="")
    return table.assign(lesion_id=table["lesion_id"].fillna("").astype(str))
