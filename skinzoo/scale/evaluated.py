"""Runs and exports as `skinzoo.evaluation` takes them, their probabilities from the workers of a cluster."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from skinzoo.client.cases import Case, Result
from skinzoo.client.evaluated import ServedPredictor
from skinzoo.client.local import card_of, model_of, version_folder
from skinzoo.client.model import Model
from skinzoo.client.options import ClientOptions
from skinzoo.evaluation.predictor import Looking, RunPredictor
from skinzoo.runs import Run
from skinzoo.scale.batch import Engine
from skinzoo.scale.models import SharedModel, shared_export, shared_run


class WorkersClassifier:
    """What classifies like a `Client` or an `ExportPredictor`, by workers.

    Args:
        engine: The workers.
        shared: What they load.
        model: What is known of it here.
    """

    def __init__(self, engine: Engine, shared: SharedModel, model: Model) -> None:
        self.model = model
        self._engine = engine
        self._shared = shared
        # A run takes terms that it was not trained on, too.
        self._options = ClientOptions(any_term=True)

    def classify_many(self, cases: Iterable[Case]) -> Generator[Result, None, None]:
        """Classify any number of cases, results in their order."""
        yield from self._engine.results(self._shared, self._options, list(cases))


def classifier_of_export(engine: Engine, folder: Path) -> WorkersClassifier:
    """Return the workers with an export.

    Args:
        engine: The workers.
        folder: The folder of a version, or of a model, whose newest version is taken.

    Raises:
        ModelError: It is no export.
    """
    version = version_folder(folder)
    return WorkersClassifier(engine, shared_export(version), model_of(card_of(version)))


class ScaledRun(RunPredictor):
    """A run whose model only the workers load; all else is as of any run.

    Args:
        engine: The workers.
        run: The run.

    Raises:
        ModelError: Its calibration is damaged.
    """

    def __init__(self, engine: Engine, run: Run) -> None:
        super().__init__(run)
        known = Model(name=run.name, version=0, classes=run.classes)
        self._classifier = WorkersClassifier(engine, shared_run(run), known)

    def probabilities(self, part: pd.DataFrame, whole: pd.DataFrame, looking: Looking) -> np.ndarray:
        """Return probabilities of the files of rows, in order; each worker decodes its own.

        Raises:
            UsageError: Images are to be altered, which happens where the model is.
            ServingError: There is no answer to a case.
        """
        return ServedPredictor(self._classifier, "workers").probabilities(part, whole, looking)
