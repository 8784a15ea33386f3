"""The metadata encoder: age, sex and localization as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from skinzoo.errors import DataError
from skinzoo.specs import MetadataLayout, Vocabularies
from skinzoo.vocabulary import Vocabulary


@keras.saving.register_keras_serializable(package="skinzoo")
class MetadataEncoder(keras.layers.Layer):
    """Encode age, sex and localization as `1 + sex + localization` numbers.

    Age is z-scored with statistics fitted on the training part (three non-trainable weights: mean,
    variance, count); an unknown age becomes 0 after scaling. Sex and localization become one-hot vectors
    whose first place stands for what is out of vocabulary (Nguyen et al. 2022).

    Args:
        sex: Terms of the vocabulary of sex, in index order from 1.
        localization: Terms of the vocabulary of localization, in index order from 1.

    Call arguments:
        inputs: Dictionary of `age` `(batch,)` float years (NaN = unknown), `sex` and `localization`
            `(batch,)` integer indices into the vocabularies.

    Returns:
        float32 tensor `(batch, 1 + len(sex) + 1 + len(localization) + 1)`.
    """

    def __init__(self, sex: Sequence[str], localization: Sequence[str], **kwargs: Any) -> None:
        # Years do not fit bfloat16's three digits, so the encoder stays in float32 under every policy.
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.sex = tuple(sex)
        self.localization = tuple(localization)

    @property
    def vocabularies(self) -> Vocabularies:
        """The vocabularies whose indices the layer takes."""
        return Vocabularies(
            sex=Vocabulary("sex", self.sex), localization=Vocabulary("localization", self.localization)
        )

    @property
    def layout(self) -> MetadataLayout:
        """Where each property stands in the output, and what encodes an unknown case."""
        sex_end = 1 + self.vocabularies.sex.size
        end = sex_end + self.vocabularies.localization.size
        missing = [0.0] * end
        missing[1 + self.vocabularies.sex.unknown_index] = 1.0
        missing[sex_end + self.vocabularies.localization.unknown_index] = 1.0
        return MetadataLayout(groups=((0, 1), (1, sex_end), (sex_end, end)), missing=tuple(missing))

    def build(self, input_shape: Any = None) -> None:
        """Create the age statistics."""
        self.age_mean = self.add_weight(name="age_mean", shape=(), initializer="zeros", trainable=False)
        self.age_variance = self.add_weight(
            name="age_variance", shape=(), initializer="ones", trainable=False
        )
        self.age_count = self.add_weight(name="age_count", shape=(), initializer="zeros", trainable=False)

    def adapt(self, ages: Any) -> None:
        """Fit the age statistics.

        Args:
            ages: Ages of the training part in years; NaN = unknown, left out.

        Raises:
            DataError: No age is known.
        """
        known = np.asarray(ages, dtype=np.float64)
        known = known[~np.isnan(known)]
        if known.size == 0:
            raise DataError(
                "The training part must hold at least one known age. Received: none.",
                hint="Choose a fusion that takes no metadata: skinzoo list --kind fusion",
            )
        self.age_mean.assign(known.mean())
        # A single distinct age has no spread; a variance of 1 then leaves it at 0 after scaling.
        self.age_variance.assign(known.var() if np.ptp(known) > 0 else 1.0)
        self.age_count.assign(known.size)

    def call(self, inputs: dict[str, Any]) -> Any:
        """Encode a batch."""
        age = ops.cast(inputs["age"], "float32")
        scaled = (age - self.age_mean) / ops.sqrt(self.age_variance)
        scaled = ops.where(ops.isnan(age), ops.zeros_like(age), scaled)
        return ops.concatenate(
            [
                ops.expand_dims(scaled, -1),
                ops.one_hot(inputs["sex"], self.vocabularies.sex.size, dtype="float32"),
                ops.one_hot(inputs["localization"], self.vocabularies.localization.size, dtype="float32"),
            ],
            axis=-1,
        )

    def compute_output_spec(self, inputs: dict[str, Any]) -> keras.KerasTensor:
        """Return the shape of the vector."""
        return keras.KerasTensor((inputs["age"].shape[0], len(self.layout.missing)), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        config: dict[str, Any] = super().get_config()
        return config | {"sex": list(self.sex), "localization": list(self.localization)}
