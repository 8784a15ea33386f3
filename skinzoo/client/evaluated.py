"""The answers of a server or an export, as `skinzoo.evaluation` takes them from a run."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Protocol

import numpy as np
import pandas as pd

from skinzoo.client.cases import Case, Result
from skinzoo.client.model import Model
from skinzoo.data.read import read_dataset, resolve_data
from skinzoo.data.splits import Split, make_split
from skinzoo.errors import DataError, ServingError, SkinzooError, UsageError
from skinzoo.evaluation.evaluate import NOT_STATED
from skinzoo.evaluation.predictor import Looking, Origin

_SPLIT_HINT = "Give the file of the split that it was trained on: --split RUN/split.json"


class Classifier(Protocol):
    """What a `Client` and an `ExportPredictor` have in common."""

    model: Model

    def classify_many(self, cases: Iterable[Case]) -> Generator[Result, None, None]:
        """Classify any number of cases, results in their order."""


class ServedPredictor:
    """A model that takes image files, decodes them itself and is not open to look into.

    Args:
        classifier: The server or the export.
        where: Where it is, for reports.
        split: The split that it was trained on; made again from the card where not given.
        dataset: Which dataset the data are; recognised unless given.

    Raises:
        DataError: The split is another one than the card names, or of other classes.
    """

    def __init__(
        self, classifier: Classifier, where: str, *, split: Split | None = None, dataset: str | None = None
    ) -> None:
        self._classifier = classifier
        self._dataset = dataset
        self._split = split
        self._where = where
        card = classifier.model.card
        self._training: dict[str, Any] = dict(card.training) if card is not None else {}
        self._variant = str(card.variant.get("variant", NOT_STATED)) if card is not None else NOT_STATED
        if split is not None:
            self._check(split)

    @property
    def name(self) -> str:
        """Name and version of the model."""
        return str(self._classifier.model)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""
        return self._classifier.model.classes

    @property
    def origin(self) -> Origin:
        """What the card states."""
        return Origin(
            self._variant,
            str(self._training.get("recipe", NOT_STATED)),
            str(self._training.get("recipe_hash", NOT_STATED)),
            (f"answers of {self._where}",),
            self._training.get("ensemble"),
        )

    @property
    def split(self) -> Split:
        """The split that it was trained on.

        Raises:
            DataError: Nobody knows it.
        """
        if self._split is None:
            raise DataError(
                f"The split that '{self.name}' was trained on must be known. Received: no --split.",
                hint=_SPLIT_HINT,
            )
        return self._split

    def cases(self, data: str | None) -> tuple[pd.DataFrame, Split]:
        """Return the data and the split, made again by the card's protocol where it was not given.

        Raises:
            DataError: They are not those that it was trained on.
            UsageError: No data are given.
        """
        if data is None:
            raise UsageError("--data must come with an export or a server. Received: none.")
        found = resolve_data(data)
        table = read_dataset(found.path, self._dataset or found.dataset)
        if self._split is None:
            if "protocol" not in self._training:
                return table, self.split
            self._split = self._made_again(table)
        self._split.check(table)
        return table, self._split

    def probabilities(self, part: pd.DataFrame, whole: pd.DataFrame, looking: Looking) -> np.ndarray:
        """Return probabilities of the files of rows, in order; nothing is decoded here.

        Raises:
            UsageError: Images are to be altered, which only a run's own decoding allows.
            ServingError: There is no answer to a case.
        """
        if looking.alter is not None or looking.tta != "none":
            raise UsageError(
                "--tta and --corrupt must come with a run. Received: an export or a server, which takes "
                "image files."
            )
        cases = (
            Case(image=path, age=age, sex=sex, localization=localization, id=image)
            for path, age, sex, localization, image in zip(
                *(part[name] for name in ("image_path", "age", "sex", "localization", "image_id")),
                strict=True,
            )
        )
        found: list[tuple[float, ...]] = []
        for result in self._classifier.classify_many(cases):
            if not result.ok:
                raise ServingError(
                    f"Every case must be answered. Received: image '{result.id}' without an answer "
                    f"({result.error})."
                )
            if len(result.probabilities) != len(self.classes):
                raise ServingError(
                    f"Every answer must have {len(self.classes)} probabilities. Received: "
                    f"{len(result.probabilities)} for image '{result.id}'."
                )
            found.append(result.probabilities)
            if looking.progress is not None:
                looking.progress(len(found), len(part))
        return np.array(found, np.float64)

    def _made_again(self, table: pd.DataFrame) -> Split:
        # Cards of older exports state neither seed nor options.
        options = dict(self._training.get("split_options") or {})
        try:
            split = make_split(
                table,
                str(self._training["protocol"]),
                seed=self._training.get("split_seed"),
                merge_duplicates=bool(options.pop("merge_duplicates", False)),
                options=options,
            )
        except SkinzooError as error:
            raise DataError(
                f"The split that '{self.name}' was trained on must be made again. {error.message}",
                hint=_SPLIT_HINT,
            ) from error
        self._check(split)
        return split

    def _check(self, split: Split) -> None:
        expected = self._training.get("split_hash")
        if expected is not None and split.hash != expected:
            raise DataError(
                f"The split must be the one that '{self.name}' was trained on, {expected}. Received: "
                f"{split.hash}.",
                hint=_SPLIT_HINT,
            )
        if tuple(split.classes) != self.classes:
            raise DataError(
                f"The split must have the classes of the model, {', '.join(self.classes)}. Received: "
                f"{', '.join(split.classes)}.",
                hint=_SPLIT_HINT,
            )
