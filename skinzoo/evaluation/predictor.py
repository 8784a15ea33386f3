"""Whatever yields probabilities for image files and metadata: a run, several runs, an export, a server."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from skinzoo.data.cache import ImageCache, cached_images
from skinzoo.data.pipeline import InputPipeline
from skinzoo.data.splits import Split
from skinzoo.data.table import fingerprint
from skinzoo.evaluation.augmented import views
from skinzoo.training.prepare import read_cases
from skinzoo.training.runs import SPLIT_FILE

if TYPE_CHECKING:
    import keras

    from skinzoo.runs import Run

BATCH_SIZE = 32

Alter = Callable[[np.ndarray, Sequence[str]], np.ndarray]
"""Takes uint8 images `(batch, size, size, 3)` and their ids, returns images of the same shape and type."""

Progress = Callable[[int, int], None]
"""Called with the numbers of images done and of all images."""


@dataclass(frozen=True)
class Looking:
    """How images are looked at.

    Args:
        tta: Kind of test-time augmentation.
        alter: Done to the decoded images before that; None for nothing.
        batch_size: Images in a step.
        progress: Who is told how far it is.
    """

    tta: str = "none"
    alter: Alter | None = None
    batch_size: int = BATCH_SIZE
    progress: Progress | None = None


@dataclass(frozen=True)
class Origin:
    """What a predictor states of where it comes from.

    Args:
        variant: Name of the variant, or names joined by ` + `.
        recipe: Name of the recipe, likewise.
        recipe_hash: Hash of the recipe's settings, likewise.
        steps: How its probabilities come about, where not as those of one model.
        ensemble: Members and weights of an ensemble; None for one model.
    """

    variant: str
    recipe: str
    recipe_hash: str
    steps: tuple[str, ...] = ()
    ensemble: dict[str, Any] | None = field(default=None)


class Predictor(Protocol):
    """Yields probabilities for the rows of a canonical table."""

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the probabilities."""

    @property
    def origin(self) -> Origin:
        """Where it comes from."""

    @property
    def split(self) -> Split:
        """The split that it was trained on.

        Raises:
            DataError: Nobody knows it.
        """

    def cases(self, data: str | None) -> tuple[pd.DataFrame, Split]:
        """Return the canonical table of the data that the split was made on, and the split.

        Args:
            data: Where the data lie now; where they were at training unless given.

        Raises:
            DataError: The data are not those of the split.
        """

    def probabilities(self, part: pd.DataFrame, whole: pd.DataFrame, looking: Looking) -> np.ndarray:
        """Return probabilities of rows of a canonical table.

        Args:
            part: The rows.
            whole: The whole table, whose decoded images are kept for the next time.
            looking: How images are looked at.

        Returns:
            float64 `(rows, classes)`.

        Raises:
            DataError: An image cannot be decoded.
            UsageError: There is no such kind of augmentation, or it cannot be done here.
        """


class RunPredictor:
    """The model of one run.

    Args:
        run: The run.
    """

    def __init__(self, run: Run) -> None:
        self.run = run

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def classes(self) -> tuple[str, ...]:
        """The run's classes."""
        return self.run.classes

    @functools.cached_property
    def origin(self) -> Origin:
        """What the run's configuration and card state."""
        card = self.run.card
        found = card.get("ensemble")
        if found is not None:
            # Its configuration is that of its first member, as far as the data go.
            return Origin(
                found["variant"], found["recipe"], found["recipe_hash"], (found["sentence"],), found
            )
        config = self.run.folder.config()
        # The hash of its own day: settings that came later would change it.
        return Origin(config.model.variant, config.recipe, card["recipe_hash"])

    @functools.cached_property
    def split(self) -> Split:
        """The run's split."""
        return Split.load(self.run.path / SPLIT_FILE)

    def cases(self, data: str | None) -> tuple[pd.DataFrame, Split]:
        """Return the run's data and split."""
        config = self.run.folder.config()
        if data is not None:
            config = dataclasses.replace(config, data=dataclasses.replace(config.data, path=data))
        cases = read_cases(config, self.split)
        return cases.table, cases.split

    @functools.cached_property
    def _answer(self) -> Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]:
        return answering(self.run.model)

    def probabilities(self, part: pd.DataFrame, whole: pd.DataFrame, looking: Looking) -> np.ndarray:
        """Return probabilities of rows of a canonical table, each view of each image seen by the model."""
        shown = views(looking.tta)
        found, done = [], 0
        ids = part["image_id"].tolist()
        for inputs, _ in batches(self.run, part, whole, looking.batch_size).numpy_batches():
            images = inputs["image"]
            if looking.alter is not None:
                images = looking.alter(images, ids[done : done + len(images)])
            seen = [self._answer({**inputs, "image": view.show(images)})[0] for view in shown]
            found.append(np.mean(seen, axis=0, dtype=np.float64))
            done += len(images)
            if looking.progress is not None:
                looking.progress(done, len(part))
        return np.concatenate(found)


Opened = Callable[["Run"], RunPredictor]
"""Makes a predictor of a run."""


def answering(model: keras.Model) -> Callable[[Mapping[str, np.ndarray]], list[np.ndarray]]:
    """Return a model as a function of batches of any size, traced once.

    Args:
        model: The model.

    Returns:
        Takes the model's inputs, returns its outputs.
    """
    import tensorflow as tf

    signature = {
        name: tf.TensorSpec(tensor.shape, tensor.dtype, name=name) for name, tensor in model.input.items()
    }
    # `predict_on_batch` would trace anew for the last batch's size, and a graph costs more than a batch.
    run = tf.function(lambda inputs: model(inputs, training=False)).get_concrete_function(signature)

    def answer(inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        outputs = run({name: tf.constant(inputs[name]) for name in signature})
        return [output.numpy() for output in (outputs if isinstance(outputs, list) else [outputs])]

    return answer


def batches(run: Run, part: pd.DataFrame, whole: pd.DataFrame, batch_size: int = BATCH_SIZE) -> InputPipeline:
    """Return the batches of rows as a run's model takes them.

    Args:
        run: The run.
        part: The rows; their labels must be classes of the run.
        whole: The whole table, whose decoded images are kept for the next time.
        batch_size: Images in a step.
    """
    return InputPipeline(
        part,
        decoded(run, whole),
        classes=run.classes,
        vocabularies=run.vocabularies,
        batch_size=batch_size,
    )


def decoded(run: Run, whole: pd.DataFrame) -> ImageCache:
    """Return the images of a table as a run decodes them."""
    return cached_images(whole, run.decoding, fingerprint=fingerprint(whole))
