"""What an export needs of a run, so that runs can export themselves without an import in a circle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from skinzoo.errors import ModelError
from skinzoo.training.runs import RunFolder

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd

    from skinzoo.data.decode import Decoding
    from skinzoo.specs import Vocabularies


class Source(Protocol):
    """A finished run, as `skinzoo.load_run` gives it."""

    @property
    def folder(self) -> RunFolder:
        """Its files."""

    @property
    def path(self) -> Path:
        """Its directory."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""

    @property
    def card(self) -> Mapping[str, Any]:
        """Its card."""

    @property
    def model(self) -> keras.Model:
        """Its model."""

    @property
    def decoding(self) -> Decoding:
        """How image files become the model's input."""

    @property
    def vocabularies(self) -> Vocabularies:
        """Its vocabularies of sex and localization."""

    def unfinished(self) -> ModelError:
        """Return the error for a run that is not finished."""

    def predict(self, cases: Sequence[Any]) -> pd.DataFrame:
        """Return the probabilities of cases."""

    def inputs(self, cases: Any) -> dict[str, np.ndarray]:
        """Return cases as the model's inputs."""
