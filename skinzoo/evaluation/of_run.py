"""Predictions of a run, on a part of its split or on any dataset with its classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from skinzoo.data.cache import cached_images
from skinzoo.data.pipeline import InputPipeline
from skinzoo.data.read import read_dataset
from skinzoo.data.splits import Split
from skinzoo.data.table import fingerprint
from skinzoo.errors import DataError
from skinzoo.evaluation.augmented import views
from skinzoo.evaluation.evaluate import Provenance
from skinzoo.evaluation.predictions import FACTS, Predictions, make_predictions
from skinzoo.training.prepare import read_cases
from skinzoo.training.runs import SPLIT_FILE

if TYPE_CHECKING:
    from skinzoo.runs import Run

BATCH_SIZE = 32
EXTERNAL = "external"


def predict_part(
    run: Run,
    part: str = "test",
    *,
    data: str | None = None,
    tta: str = "none",
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Predictions, Provenance]:
    """Predict a part of a run's split.

    Args:
        run: The run.
        part: `train`, `validation` or `test`; the split's stand-in where it has no such part.
        data: Where the data lie now; where they were at training unless given.
        tta: Kind of test-time augmentation.
        batch_size: Images in a step.
        progress: Called with the numbers of images done and of all images.

    Raises:
        DataError: The data are not those of the split, or the part is empty.
        UsageError: There is no such part or kind of augmentation.
    """
    chosen = views(tta)
    config = run.folder.config()
    if data is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, path=data))
    cases = read_cases(config, Split.load(run.path / SPLIT_FILE))
    table = cases.part(part)
    if table.empty:
        raise DataError(
            f"The {part} part of run '{run.name}' must hold cases. Received: none.",
            hint="Choose another --part, or evaluate other data with --external.",
        )
    found = cases.split.resolve(part)
    predictions = predict_table(
        run, table.assign(part=found), cases.table, tta=tta, batch_size=batch_size, progress=progress
    )
    split = cases.split
    return predictions, _provenance(
        run,
        dataset=split.dataset,
        protocol=split.protocol,
        split_hash=split.hash,
        part=found,
        stamps=split.stamps,
        warnings=split.warnings,
        steps=_steps(tta, len(chosen)),
    )


def predict_external(
    run: Run,
    data: str,
    *,
    dataset: str | None = None,
    tta: str = "none",
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Predictions, Provenance]:
    """Predict every case of a dataset that the run was not trained on.

    Args:
        run: The run.
        data: Folder or file of the data.
        dataset: Which dataset it is; recognised unless given.
        tta: Kind of test-time augmentation.
        batch_size: Images in a step.
        progress: Called with the numbers of images done and of all images.

    Raises:
        DataError: The data hold a class that the model does not know, or images that it was trained on.
        UsageError: There is no such kind of augmentation.
    """
    chosen = views(tta)
    table = read_dataset(Path(data), dataset)
    unknown = sorted(set(table["label"]) - set(run.classes))
    if unknown:
        raise DataError(
            f"The data must hold only classes of the run's model, {', '.join(run.classes)}. Received: "
            f"{', '.join(unknown)} too.",
            hint="Leave these cases out or map their classes; see: skinzoo data --help",
        )
    split = Split.load(run.path / SPLIT_FILE)
    trained = {image for image, part in split.assignment.items() if part != "test"} & set(table["image_id"])
    if trained:
        raise DataError(
            f"External data must hold no image of the run's own training or validation part. Received: "
            f"{len(trained):,}, for example '{min(trained)}'.",
            hint="Evaluate the run's own test part without --external.",
        )
    predictions = predict_table(run, table, table, tta=tta, batch_size=batch_size, progress=progress)
    return predictions, _provenance(
        run,
        dataset=str(table.attrs["dataset"]),
        protocol=EXTERNAL,
        split_hash=split.hash,
        part="all cases",
        warnings=tuple(table.attrs["notes"]),
        steps=_steps(tta, len(chosen)),
    )


def predict_table(
    run: Run,
    part: pd.DataFrame,
    whole: pd.DataFrame,
    *,
    tta: str = "none",
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Predict rows of a canonical table.

    Args:
        run: The run.
        part: The rows.
        whole: The whole table, whose decoded images are kept for the next time.
        tta: Kind of test-time augmentation.
        batch_size: Images in a step.
        progress: Called with the numbers of images done and of all images.

    Raises:
        DataError: An image cannot be decoded.
        UsageError: There is no such kind of augmentation.
    """
    images = cached_images(whole, run.decoding, fingerprint=fingerprint(whole))
    pipeline = InputPipeline(
        part, images, classes=run.classes, vocabularies=run.vocabularies, batch_size=batch_size
    )
    chosen, probabilities, done = views(tta), [], 0
    for inputs, _ in pipeline.numpy_batches():
        seen = [
            run.model.predict_on_batch({**inputs, "image": view.show(inputs["image"])}) for view in chosen
        ]
        probabilities.append(np.mean(seen, axis=0, dtype=np.float64))
        done += len(seen[0])
        if progress is not None:
            progress(done, len(part))
    facts = [name for name in ("lesion_id", *FACTS) if name in part]
    table = pd.concat(
        [
            part[["image_id", *facts]].reset_index(drop=True),
            pd.DataFrame({"true": part["label"].to_numpy()}),
            pd.DataFrame(np.concatenate(probabilities), columns=list(run.classes)),
        ],
        axis=1,
    )
    return make_predictions(table, classes=run.classes, source=f"run '{run.name}'")


def _provenance(run: Run, **stated: object) -> Provenance:
    config = run.folder.config()
    return Provenance(
        name=run.name,
        variant=config.model.variant,
        recipe=config.recipe,
        recipe_hash=config.recipe_hash,
        **stated,  # type: ignore[arg-type]
    )


def _steps(tta: str, number: int) -> tuple[str, ...]:
    return () if tta == "none" else (f"mean of {number} views ({tta})",)
