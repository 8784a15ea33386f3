"""Predictions on a part of a split, or on any dataset with the same classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skinzoo.data.read import read_dataset
from skinzoo.errors import DataError
from skinzoo.evaluation.augmented import views
from skinzoo.evaluation.evaluate import Provenance
from skinzoo.evaluation.predictions import FACTS, Predictions, make_predictions
from skinzoo.evaluation.predictor import BATCH_SIZE, Looking, Predictor, RunPredictor

if TYPE_CHECKING:
    from skinzoo.runs import Run

EXTERNAL = "external"


@dataclass(frozen=True)
class Chosen:
    """Cases to predict.

    Args:
        rows: Rows of a canonical table.
        whole: The whole table.
        stated: What the provenance states of them: dataset, protocol, part and so on.
    """

    rows: pd.DataFrame
    whole: pd.DataFrame
    stated: Mapping[str, Any]


def predict_part(
    run: Run | Predictor,
    part: str = "test",
    *,
    data: str | None = None,
    tta: str = "none",
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Predictions, Provenance]:
    """Predict a part of the split that a run was trained on.

    Args:
        run: The run, or whatever else yields probabilities.
        part: `train`, `validation` or `test`; the split's stand-in where it has no such part.
        data: Where the data lie now; where they were at training unless given.
        tta: Kind of test-time augmentation.
        batch_size: Images in a step.
        progress: Called with the numbers of images done and of all images.

    Raises:
        DataError: The data are not those of the split, or the part is empty.
        UsageError: There is no such part or kind of augmentation.
    """
    predictor = as_predictor(run)
    views(tta)
    return predict_chosen(
        predictor,
        cases_of_part(predictor, part, data),
        Looking(tta, batch_size=batch_size, progress=progress),
    )


def predict_external(
    run: Run | Predictor,
    data: str,
    *,
    dataset: str | None = None,
    tta: str = "none",
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Predictions, Provenance]:
    """Predict every case of a dataset that a run was not trained on.

    Args:
        run: The run, or whatever else yields probabilities.
        data: Folder or file of the data.
        dataset: Which dataset it is; recognised unless given.
        tta: Kind of test-time augmentation.
        batch_size: Images in a step.
        progress: Called with the numbers of images done and of all images.

    Raises:
        DataError: The data hold a class that the model does not know, or images that it was trained on.
        UsageError: There is no such kind of augmentation.
    """
    predictor = as_predictor(run)
    views(tta)
    return predict_chosen(
        predictor,
        external_cases(predictor, data, dataset),
        Looking(tta, batch_size=batch_size, progress=progress),
    )


def predict_table(
    run: Run | Predictor,
    part: pd.DataFrame,
    whole: pd.DataFrame,
    *,
    tta: str = "none",
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Predict rows of a canonical table.

    Args:
        run: The run, or whatever else yields probabilities.
        part: The rows.
        whole: The whole table, whose decoded images are kept for the next time.
        tta: Kind of test-time augmentation.
        batch_size: Images in a step.
        progress: Called with the numbers of images done and of all images.

    Raises:
        DataError: An image cannot be decoded.
        UsageError: There is no such kind of augmentation.
    """
    return predict_rows(
        as_predictor(run), part, whole, Looking(tta, batch_size=batch_size, progress=progress)
    )


def as_predictor(run: Run | Predictor) -> Predictor:
    """Return what yields the probabilities of a run; anything that does so already stays as it is."""
    from skinzoo.runs import Run

    return RunPredictor(run) if isinstance(run, Run) else run


def cases_of_part(predictor: Predictor, part: str, data: str | None) -> Chosen:
    """Return the rows of a part of the split that a predictor was trained on.

    Args:
        predictor: Whose split it is.
        part: `train`, `validation` or `test`; the split's stand-in where it has no such part.
        data: Where the data lie now; where they were at training unless given.

    Raises:
        DataError: The data are not those of the split, or the part is empty.
        UsageError: There is no such part.
    """
    whole, split = predictor.cases(data)
    rows = split.part(whole, part)
    if rows.empty:
        raise DataError(
            f"The {part} part of '{predictor.name}' must hold cases. Received: none.",
            hint="Choose another --part, or evaluate other data with --external.",
        )
    found = split.resolve(part)
    stated = {
        "dataset": split.dataset,
        "protocol": split.protocol,
        "split_hash": split.hash,
        "part": found,
        "stamps": split.stamps,
        "warnings": split.warnings,
    }
    return Chosen(rows.assign(part=found), whole, stated)


def external_cases(predictor: Predictor, data: str, dataset: str | None = None) -> Chosen:
    """Return all rows of a dataset that a predictor was not trained on.

    Args:
        predictor: Who was trained.
        data: Folder or file of the data.
        dataset: Which dataset it is; recognised unless given.

    Raises:
        DataError: The data hold a class that the model does not know, or images that it was trained on.
    """
    table = read_dataset(Path(data), dataset)
    unknown = sorted(set(table["label"]) - set(predictor.classes))
    if unknown:
        raise DataError(
            f"The data must hold only classes of the run's model, {', '.join(predictor.classes)}. Received: "
            f"{', '.join(unknown)} too.",
            hint="Leave these cases out or map their classes; see: skinzoo data --help",
        )
    assignment = predictor.split.assignment
    trained = {image for image, part in assignment.items() if part != "test"} & set(table["image_id"])
    if trained:
        raise DataError(
            f"External data must hold no image of the run's own training or validation part. Received: "
            f"{len(trained):,}, for example '{min(trained)}'.",
            hint="Evaluate the run's own test part without --external.",
        )
    stated = {
        "dataset": str(table.attrs["dataset"]),
        "protocol": EXTERNAL,
        "split_hash": predictor.split.hash,
        "part": "all cases",
        "warnings": tuple(table.attrs["notes"]),
    }
    return Chosen(table, table, stated)


def predict_chosen(predictor: Predictor, chosen: Chosen, looking: Looking) -> tuple[Predictions, Provenance]:
    """Predict rows that were chosen, and say where the predictions come from.

    Args:
        predictor: Who predicts.
        chosen: The rows.
        looking: How images are looked at.
    """
    origin, number = predictor.origin, len(views(looking.tta))
    seen = () if looking.tta == "none" else (f"mean of {number} views ({looking.tta})",)
    predictions = predict_rows(predictor, chosen.rows, chosen.whole, looking)
    return predictions, Provenance(
        name=predictor.name,
        variant=origin.variant,
        recipe=origin.recipe,
        recipe_hash=origin.recipe_hash,
        ensemble=origin.ensemble,
        steps=(*origin.steps, *seen),
        **chosen.stated,
    )


def predict_rows(
    predictor: Predictor, part: pd.DataFrame, whole: pd.DataFrame, looking: Looking
) -> Predictions:
    """Predict rows of a canonical table; arguments as `Predictor.probabilities`."""
    probabilities = predictor.probabilities(part, whole, looking)
    facts = [name for name in ("lesion_id", *FACTS) if name in part]
    table = pd.concat(
        [
            part[["image_id", *facts]].reset_index(drop=True),
            pd.DataFrame({"true": part["label"].to_numpy()}),
            pd.DataFrame(np.asarray(probabilities, np.float64), columns=list(predictor.classes)),
        ],
        axis=1,
    )
    return make_predictions(table, classes=predictor.classes, source=f"'{predictor.name}'")
