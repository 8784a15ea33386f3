"""A finished run in Python: its model, predictions and scores."""

from __future__ import annotations

import difflib
import functools
import io
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skinzoo.errors import DataError, ModelError, nearest
from skinzoo.machine import cores
from skinzoo.quiet import import_keras
from skinzoo.training.runs import FINISHED, MODEL_FILE, RUNNING, SPLIT_FILE, RunFolder, find_run
from skinzoo.vocabulary import UNKNOWN, normalise

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd

    from skinzoo.data.decode import Decoding
    from skinzoo.export.of_run import Exported
    from skinzoo.specs import Vocabularies

IMAGE_KEYS = ("image", "image_path")
KEYS = ("image", "image_path", "age", "sex", "localization")
KEY_WORDS: Mapping[str, str] = {
    "gender": "sex",
    "site": "localization",
    "location": "localization",
    "anatom_site_general": "localization",
    "anatom_site_general_challenge": "localization",
    "age_approx": "age",
    "path": "image",
    "file": "image",
    "filename": "image",
    "filepath": "image",
}
"""What people call the keys elsewhere."""
TERM_WORDS: Mapping[str, str] = {"f": "female", "m": "male", "woman": "female", "man": "male"}
"""What people call the terms elsewhere."""
SPELT_ALIKE = 0.8
OTHER_IMAGE = "Convert or replace the image, or leave the case out."
BATCH_SIZE = 32


class UnknownTermWarning(UserWarning):
    """A sex or localization outside the vocabulary of a model; the model gets it as a term never seen."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a run on a part of its split.

    Args:
        part: The part that was scored; its stand-in where the split has no such part.
        cases: Number of cases.
        accuracy: Share of right answers.
        balanced_accuracy: Mean recall over the classes that have cases.
        macro_f1: Mean F1 over the same classes.
        macro_auc: Mean one-against-rest area under the ROC curve over the same classes.
        absent: Classes without a case in the part, which the macro scores leave out.
        stamps: What the split cannot do honestly.
    """

    part: str
    cases: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    macro_auc: float
    absent: tuple[str, ...]
    stamps: tuple[str, ...]

    def __repr__(self) -> str:
        """Return part, cases and scores in short."""
        scores = (
            f"{name}={getattr(self, name):.4f}"
            for name in ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc")
        )
        more = [f"{name}={value}" for name in ("absent", "stamps") if (value := getattr(self, name))]
        return f"Evaluation({', '.join([f'part={self.part!r}, cases={self.cases}', *scores, *more])})"


class Run:
    """A finished run.

    Args:
        folder: Its directory.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self._warned: set[tuple[str, str]] = set()

    def __repr__(self) -> str:
        """Return name, state, and where it is finished what was trained and how well."""
        try:
            card = self.folder.card()
            if card is None:
                return f"<Run '{self.name}': {self.folder.state}>"
            score, variant = card["selection"], card["variant"]["variant"]
            best = f"best epoch {card['best_epoch']} of {card['epochs']}"
            value = card["scores"].get(score, math.nan)
            return f"<Run '{self.name}': {variant} by recipe {card['recipe']}, {best}, {score} {value:.4f}>"
        except (ModelError, KeyError, TypeError):
            return f"<Run '{self.name}': damaged>"

    @property
    def path(self) -> Path:
        """The run directory."""
        return self.folder.path

    @property
    def name(self) -> str:
        """The run's name."""
        return self.folder.name

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the model's outputs."""
        return self.folder.classes()

    @functools.cached_property
    def card(self) -> Mapping[str, Any]:
        """What was trained, on what, and how well."""
        card = self.folder.card()
        if card is None:
            raise self.unfinished()
        return card

    def unfinished(self) -> ModelError:
        """Return the error for a run that has no model yet."""
        state = self.folder.state
        return ModelError(
            f"A run must be finished to be used. Received: '{self.name}', which is {state}.",
            hint="Wait until its training ends."
            if state == RUNNING
            else f"Go on with: skinzoo train --resume {self.path}",
        )

    @functools.cached_property
    def model(self) -> keras.Model:
        """The model with the weights of the best epoch."""
        import_keras()
        from skinzoo.model import load_model

        model = load_model(self.path / MODEL_FILE)
        if model.output_shape[-1] != len(self.classes):
            raise ModelError(
                f"A run's model must have an output for each class ({len(self.classes)}). "
                f"Received: {model.output_shape[-1]} outputs in '{self.path}'."
            )
        return model

    @functools.cached_property
    def decoding(self) -> Decoding:
        """How image files become the model's input."""
        from skinzoo.data.decode import DECODE_VERSION, Decoding

        stated = self.folder.resolved()["decoding"]
        if stated["version"] != DECODE_VERSION:
            raise ModelError(
                f"A run must be decoded as it was trained, by version {stated['version']}. "
                f"Received: version {DECODE_VERSION}.",
                hint="Use the version of skinzoo that trained it: see its environment.json.",
            )
        return Decoding(
            size=stated["size"], resize=stated["resize"], preprocessing=tuple(stated["preprocessing"])
        )

    @functools.cached_property
    def vocabularies(self) -> Vocabularies:
        """The vocabularies of sex and localization that the model was trained with."""
        from skinzoo.model import metadata_encoder
        from skinzoo.specs import Vocabularies

        encoder = metadata_encoder(self.model)
        return Vocabularies() if encoder is None else encoder.vocabularies

    def predict(
        self,
        cases: pd.DataFrame | Sequence[Mapping[str, Any] | str | os.PathLike[str] | bytes],
        *,
        batch_size: int = BATCH_SIZE,
    ) -> pd.DataFrame:
        """Return class probabilities of cases.

        Args:
            cases: One row or dictionary a case: `image` (path or bytes of a file; `image_path` will do)
                and, where known, `age` in years, `sex` and `localization`. None, NaN and an absent key mean
                unknown. A path or bytes alone are a case of which nothing else is known.
            batch_size: Cases in a step.

        Returns:
            Probabilities, one column a class and one row a case in the order given; the index is that of a
            DataFrame, else 0, 1, ...

        Raises:
            DataError: A case has no image or one that cannot be decoded, a misspelt key, or a property of the
                wrong kind.

        Warns:
            UnknownTermWarning: A sex or localization that the model does not know; once a value.
        """
        import pandas as pd

        rows, index = _rows(cases)
        columns = list(self.classes)
        if not rows:
            return pd.DataFrame(columns=columns, index=index, dtype="float32")
        _check_keys(rows)
        self._warn_of_unknown_terms(rows)
        inputs = self._inputs(rows)
        probabilities = self._probabilities(rows, inputs, batch_size)
        return pd.DataFrame(probabilities, columns=columns, index=index)

    def export(
        self,
        to: str | os.PathLike[str] | None = None,
        *,
        format: str = "savedmodel",
        name: str | None = None,
        version: int | None = None,
        warmup_batches: Sequence[int] = (1, 8, 32),
        data: str | None = None,
        step: Callable[[str], None] = lambda _: None,
    ) -> Exported:
        """Write the run as `<to>/<name>/<version>/` for servers or other runtimes.

        Args:
            to: Folder of models; where `skinzoo serve` looks unless given.
            format: `savedmodel`, `litert`, `litert-int8`, `onnx` or `openvino`.
            name: Name of the model; that of the variant unless given.
            version: Version number; the next one unless given.
            warmup_batches: Batch sizes that a server runs before it is ready.
            data: Where the run's data lie now; int8 looks at training images.
            step: Called with what begins.

        Returns:
            The export: `path`, `card`, `parity`, `size`.

        Raises:
            UsageError: Format, name or version cannot be used, or the version exists.
            ModelError: The export does not give the run's probabilities, or cannot be made.
        """
        from skinzoo.export.of_run import export_run

        return export_run(
            self,
            None if to is None else Path(to),
            format=format,
            name=name,
            version=version,
            warmup_batches=warmup_batches,
            data=data,
            step=step,
        )

    def inputs(self, cases: pd.DataFrame | Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
        """Return cases as the model's inputs.

        Args:
            cases: As `predict` takes them, at least one.

        Returns:
            `image` uint8 RGB `(n, size, size, 3)`, `age` float32 years, `sex` and `localization` int32
            indices `(n,)`.

        Raises:
            DataError: As `predict`.
        """
        import numpy as np

        rows, _ = _rows(cases)
        # First what is quickly told to be wrong.
        known = self._inputs(rows)
        with ThreadPoolExecutor(cores()) as pool:
            return {"image": np.stack(list(pool.map(self._pixels, rows, range(len(rows))))), **known}

    def evaluate(self, part: str = "test") -> Evaluation:
        """Score the run on a part of its split, read from where the run's data were.

        Args:
            part: `train`, `validation` or `test`.

        Raises:
            DataError: The data are not those that the run was trained on.
            UsageError: There is no such part.
        """
        import numpy as np
        from sklearn.metrics import roc_auc_score

        from skinzoo.data.splits import Split
        from skinzoo.training.prepare import read_cases
        from skinzoo.training.scores import classification_scores

        cases = read_cases(self.folder.config(), Split.load(self.path / SPLIT_FILE))
        if cases.classes != self.classes:
            raise DataError(
                f"The data must have the classes of the run's model, {', '.join(self.classes)}. "
                f"Received: {', '.join(cases.classes)}."
            )
        table = cases.part(part)
        if table.empty:
            raise DataError(f"The {part} part must hold cases. Received: none.")
        probabilities = self.predict(table).to_numpy()
        labels = np.array([self.classes.index(label) for label in table["label"]])
        present = np.unique(labels)
        # A class that is alone in the part has nothing to be told from.
        areas = [roc_auc_score(labels == one, probabilities[:, one]) for one in present if len(present) > 1]
        return Evaluation(
            part=cases.split.resolve(part),
            cases=len(table),
            **classification_scores(labels, probabilities),
            macro_auc=float(np.mean(areas)) if areas else float("nan"),
            absent=tuple(name for i, name in enumerate(self.classes) if i not in present),
            stamps=cases.split.stamps,
        )

    def _warn_of_unknown_terms(self, rows: Sequence[Mapping[str, Any]]) -> None:
        vocabularies = {"sex": self.vocabularies.sex, "localization": self.vocabularies.localization}
        for name, vocabulary in vocabularies.items():
            known = vocabulary.table()
            for value in dict.fromkeys(_terms(rows, name)):
                if normalise(value) in known or (name, value) in self._warned:
                    continue
                self._warned.add((name, value))
                meant = TERM_WORDS.get(value.strip().lower()) or nearest(value, vocabulary.terms)
                hint = (
                    f"Did you mean '{meant}'?" if meant in vocabulary.terms else "It counts as none of them."
                )
                warnings.warn(
                    f"`{name}` should be one of {', '.join(vocabulary.terms)}. Received: '{value}', which "
                    f"the model has not seen. {hint}",
                    UnknownTermWarning,
                    stacklevel=3,
                )

    def _inputs(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
        import numpy as np

        from skinzoo.data.table import AGE_RANGE

        ages = []
        for number, row in enumerate(rows):
            value = row.get("age")
            try:
                age = float("nan") if _unknown(value) else float(str(value))
            except ValueError:
                age = float("inf")
            if not np.isnan(age) and not AGE_RANGE[0] <= age <= AGE_RANGE[1]:
                raise DataError(
                    f"`age` must be within {AGE_RANGE[0]:g}..{AGE_RANGE[1]:g} years or unknown. "
                    f"Received: {value!r} in case {number}."
                )
            ages.append(age)
        return {
            "age": np.array(ages, np.float32),
            "sex": self.vocabularies.sex.indices(_terms(rows, "sex")),
            "localization": self.vocabularies.localization.indices(_terms(rows, "localization")),
        }

    def _pixels(self, row: Mapping[str, Any], number: int) -> np.ndarray:
        import tensorflow as tf

        from skinzoo.data.decode import decode
        from skinzoo.data.images import inspect_bytes, undecodable

        contents, name = _contents(row, number)
        try:
            inspect_bytes(contents, name=name)
            pixels: np.ndarray = decode(contents, self.decoding).numpy()
        except tf.errors.OpError as error:
            raise DataError(undecodable(name, error.message).message, hint=OTHER_IMAGE) from error
        except DataError as error:
            # Its hint may name an option of the command line.
            raise DataError(error.message, hint=OTHER_IMAGE) from error
        return pixels

    def _probabilities(
        self, rows: Sequence[Mapping[str, Any]], inputs: Mapping[str, np.ndarray], batch_size: int
    ) -> np.ndarray:
        import numpy as np

        found = []
        with ThreadPoolExecutor(cores()) as pool:
            for start in range(0, len(rows), batch_size):
                one = slice(start, start + batch_size)
                # Only a batch of pixels is held: those of a whole dataset take gigabytes.
                images = list(pool.map(self._pixels, rows[one], range(len(rows))[one]))
                known = {key: value[one] for key, value in inputs.items()}
                found.append(self.model.predict_on_batch({"image": np.stack(images), **known}))
        return np.concatenate(found)


def load_run(path: str | os.PathLike[str]) -> Run:
    """Load a finished run.

    Args:
        path: A run directory, the name of a run, a unique prefix or `latest`.

    Raises:
        UsageError: There is no such run.
        ModelError: The run is not finished.

    Examples:
        >>> import skinzoo
        >>> run = skinzoo.load_run("latest")  # doctest: +SKIP
        >>> run.predict([{"image": "lesion.jpg", "age": 55, "sex": "male"}])  # doctest: +SKIP
    """
    run = Run(find_run(os.fspath(path)))
    if run.folder.state != FINISHED:
        raise run.unfinished()
    return run


_IMAGES = str | bytes | bytearray | memoryview | os.PathLike


def _rows(cases: Any) -> tuple[list[Mapping[str, Any]], Any]:
    import pandas as pd

    if isinstance(cases, pd.DataFrame):
        return cases.to_dict("records"), cases.index  # type: ignore[return-value]
    if isinstance(cases, Mapping | _IMAGES) or not isinstance(cases, Iterable):
        raise DataError(
            f"`cases` must be a DataFrame or a list of dictionaries. Received: {type(cases).__name__}.",
            hint="For a single case give a list of one: predict([case])",
        )
    rows = [{"image": case} if isinstance(case, _IMAGES) else case for case in cases]
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(
                f"Each case must be a dictionary, or the path or bytes of an image. Received: {row!r} as "
                f"case {number}."
            )
    return rows, pd.RangeIndex(len(rows))


def _check_keys(rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse keys that look like one that is missing; others, such as a table's own columns, are let be."""
    from skinzoo.data.table import COLUMNS

    for keys in dict.fromkeys(frozenset(map(str, row)) for row in rows):
        for key in sorted(keys - {*KEYS, *COLUMNS}):
            lower = key.strip().lower()
            alike = difflib.get_close_matches(lower, KEYS, n=1, cutoff=SPELT_ALIKE)
            meant = KEY_WORDS.get(lower) or (alike[0] if alike else None)
            if meant is None or keys & (set(IMAGE_KEYS) if meant in IMAGE_KEYS else {meant}):
                continue
            raise DataError(
                f"A case must have the keys {', '.join(KEYS[:1] + KEYS[2:])}. Received: '{key}'.",
                hint=f"Did you mean '{meant}'?",
            )


def _contents(row: Mapping[str, Any], number: int) -> tuple[bytes, str]:
    value = next((row[key] for key in IMAGE_KEYS if key in row), None)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), f"of case {number}"
    if isinstance(value, io.IOBase):
        return value.read(), f"of case {number}"
    if not isinstance(value, str | os.PathLike) or not str(value):
        raise DataError(
            "Each case must have `image`, a path or the bytes of an image file. "
            f"Received: {value!r} in case {number}."
        )
    try:
        return Path(value).read_bytes(), str(value)
    except OSError as error:
        raise DataError(
            f"Image file '{value}' must be readable. Received: {error.strerror}.", hint="Check the path."
        ) from error


def _terms(rows: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    values = []
    for number, row in enumerate(rows):
        value = row.get(name)
        if not _unknown(value) and not isinstance(value, str):
            raise DataError(f"`{name}` must be a text or unknown. Received: {value!r} in case {number}.")
        values.append(value if isinstance(value, str) else UNKNOWN)
    return values


def _unknown(value: object) -> bool:
    from skinzoo.data.table import MISSING

    return value is None or value != value or (isinstance(value, str) and value.strip().lower() in MISSING)
