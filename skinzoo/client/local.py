"""Results in this process, without a server: from a run, or from an export."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinzoo.client.batches import Batch, batches
from skinzoo.client.cases import Case, ReadyCase, Result, ready
from skinzoo.client.model import Model
from skinzoo.client.options import ClientOptions
from skinzoo.errors import DataError, ModelError
from skinzoo.export.names import AGE, IMAGE_BYTES, LOCALIZATION, SAVED_MODEL_FILE, SERVING, SEX
from skinzoo.ordered import in_order
from skinzoo.vocabulary import outside

if TYPE_CHECKING:
    from skinzoo.export.card import Card
    from skinzoo.runs import Run


class LocalPredictor(ABC):
    """A model in this process, with the part of `Client` that classifies.

    Args:
        options: Batches and terms are as said there; the rest is about servers.
    """

    model: Model

    def __init__(self, options: ClientOptions | None = None) -> None:
        self.options = options or ClientOptions()

    def classify_many(self, cases: Iterable[Case]) -> Generator[Result, None, None]:
        """Classify any number of cases; see `Client.classify_many`."""
        todo = batches(map(self._ready, cases), self.options.batch, self.options.batch_bytes)
        # One batch at a time uses all cores; the thread lets the next be read meanwhile.
        for results in in_order(todo, self._batch, 1):
            yield from results

    @abstractmethod
    def _answers(self, cases: Sequence[ReadyCase]) -> list[Result]:
        """Return the answers to cases.

        Raises:
            DataError: One of them cannot be decoded.
        """

    def _ready(self, case: Case) -> ReadyCase | Result:
        try:
            return ready(case, self.model, any_term=self.options.any_term)
        except DataError as error:
            return Result(error=error.message).of(case)

    def _batch(self, batch: Batch) -> list[Result]:
        return batch.merged(self._classified(batch.cases))

    def _classified(self, cases: Sequence[ReadyCase]) -> list[Result]:
        if not cases:
            return []
        try:
            found = self._answers(cases)
        except DataError as error:
            if len(cases) == 1:
                return [Result(error=error.message).of(cases[0])]
            middle = len(cases) // 2
            return self._classified(cases[:middle]) + self._classified(cases[middle:])
        return [
            replace(result, warnings=self._warnings(case)).of(case)
            for result, case in zip(found, cases, strict=True)
        ]

    def _warnings(self, case: ReadyCase) -> tuple[str, ...]:
        told = (
            outside(SEX, case.sex, self.model.sex),
            outside(LOCALIZATION, case.localization, self.model.localization),
        )
        return tuple(text for text in told if text is not None)


class RunPredictor(LocalPredictor):
    """A run's model.

    Args:
        run: A finished run.
        options: See `LocalPredictor`.
    """

    def __init__(self, run: Run, options: ClientOptions | None = None) -> None:
        from skinzoo.export.describe import read_calibration

        super().__init__(options)
        self._run = run
        self._fitted = read_calibration(run)
        vocabularies = run.vocabularies
        self.model = Model(
            name=run.name,
            version=0,
            classes=run.classes,
            sex=vocabularies.sex.terms,
            localization=vocabularies.localization.terms,
            image_size=run.decoding.size,
            has_calibration=self._fitted is not None,
        )

    def _answers(self, cases: Sequence[ReadyCase]) -> list[Result]:
        from skinzoo.runs import UnknownTermWarning

        rows = [
            {"image": one.image, "age": one.age, "sex": one.sex, "localization": one.localization}
            for one in cases
        ]
        with warnings.catch_warnings():
            # Each result says so itself.
            warnings.simplefilter("ignore", UnknownTermWarning)
            probabilities = self._run.predict(rows, batch_size=len(rows)).to_numpy()
        classes = self.model.classes
        return [
            Result(
                model=self.model.name,
                classes=classes,
                probabilities=tuple(map(float, row)),
                predicted_class=classes[int(row.argmax())],
                **self._calibrated(row),
            )
            for row in probabilities
        ]

    def _calibrated(self, probabilities: Any) -> dict[str, Any]:
        """Return what an export of the run would answer beside the probabilities."""
        from skinzoo.evaluation.calibration import Calibration

        if self._fitted is None:
            return {}
        [scaled] = Calibration.from_dict(self._fitted["calibration"]).rescale(probabilities[None])
        found: dict[str, Any] = {"calibrated": tuple(map(float, scaled))}
        abstention = self._fitted.get("abstention")
        if abstention is not None:
            found["abstain"] = bool(scaled.max() < abstention["threshold"])
        return found


class ExportPredictor(LocalPredictor):
    """An export's model, by its signature `serving_default`.

    Args:
        folder: The folder of a version, or of a model, whose newest version is taken.
        options: See `LocalPredictor`.

    Raises:
        ModelError: It is no export.
    """

    def __init__(self, folder: Path, options: ClientOptions | None = None) -> None:
        super().__init__(options)
        version = version_folder(folder)
        card = card_of(version)
        import tensorflow as tf

        try:
            # Kept, as the signature's variables live as long as what was loaded.
            self._loaded = tf.saved_model.load(str(version))
        except (OSError, ValueError, tf.errors.OpError) as error:
            raise ModelError(
                f"An export must be a SavedModel. Received: '{version}' ({error}).",
                hint="Export the run again with: skinzoo export RUN",
            ) from error
        self._signature = self._loaded.signatures[SERVING]
        self.model = model_of(card)

    def _answers(self, cases: Sequence[ReadyCase]) -> list[Result]:
        import tensorflow as tf

        from skinzoo.client.tensorflow_serving import results_of

        try:
            outputs = self._signature(
                **{
                    IMAGE_BYTES: tf.constant([one.image for one in cases]),
                    AGE: tf.constant([one.age for one in cases], tf.float32),
                    SEX: tf.constant([one.sex for one in cases]),
                    LOCALIZATION: tf.constant([one.localization for one in cases]),
                }
            )
        except tf.errors.InvalidArgumentError as error:
            raise DataError(f"An image must be one that can be decoded. Received: {error.message}") from error
        arrays = {name: tensor.numpy() for name, tensor in outputs.items()}
        return results_of(arrays, len(cases), name=self.model.name, version=self.model.version)


def card_of(version: Path) -> Card:
    """Return the card of an export's version.

    Raises:
        ModelError: It has none.
    """
    from skinzoo.export.card import read_card

    card = read_card(version)
    if card is None:
        raise ModelError(
            f"An export must have a card. Received: '{version}', which has none.",
            hint="Export a run with: skinzoo export RUN",
        )
    return card


def model_of(card: Card) -> Model:
    """Return what a card tells of its model."""
    return Model(
        name=card.name,
        version=card.version,
        classes=card.classes,
        sex=card.sex,
        localization=card.localization,
        image_size=int(card.image["size"]),
        has_calibration=card.calibration is not None,
        has_attention=card.has_attention,
        card=card,
    )


def version_folder(folder: Path) -> Path:
    """Return the newest version in a model's folder, or the folder itself where it is a version.

    Raises:
        ModelError: There is none.
    """
    if (folder / SAVED_MODEL_FILE).is_file():
        return folder
    found = [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name.isdecimal() and (path / SAVED_MODEL_FILE).is_file()
    ]
    if not found:
        raise ModelError(
            f"An export must hold {SAVED_MODEL_FILE}, or versions that do. Received: '{folder}'.",
            hint="Name the folder of a model or of a version; make one with: skinzoo export RUN",
        )
    return max(found, key=lambda path: int(path.name))
