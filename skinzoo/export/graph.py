"""The graph of an export: decoding, vocabularies, model, class names and calibration as signatures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skinzoo.data.decode import Decoding, decode_batch
from skinzoo.errors import ModelError
from skinzoo.export import names
from skinzoo.model import attention_model
from skinzoo.model.assembly import FUSED_LAYER
from skinzoo.specs import Vocabularies
from skinzoo.vocabulary import OUT_OF_VOCABULARY, Vocabulary

_IMAGES = tf.TensorSpec((None,), tf.string, names.IMAGE_BYTES)
_METADATA = (
    tf.TensorSpec((None,), tf.float32, names.AGE),
    tf.TensorSpec((None,), tf.string, names.SEX),
    tf.TensorSpec((None,), tf.string, names.LOCALIZATION),
)

Outputs = dict[str, tf.Tensor]


class ServingGraph:
    """The functions behind the signatures of an export.

    Args:
        model: A model of `create_model`, or one loaded from a `.keras` file.
        decoding: How files become its images.
        vocabularies: Its vocabularies of sex and localization.
        classes: Class names in the order of its outputs.
        calibration: `Calibrated.parameters()` of its run; None where it carries none.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        decoding: Decoding,
        vocabularies: Vocabularies,
        classes: tuple[str, ...],
        calibration: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.decoding = decoding
        self.classes = classes
        self.calibration = calibration
        self.tables = {
            names.SEX: _table(vocabularies.sex),
            names.LOCALIZATION: _table(vocabularies.localization),
        }
        outputs = {
            names.PROBABILITIES: model.output,
            names.ATTENTION: _attention_map(model),
            names.FUSED: _fused_vector(model),
        }
        self.outputs = {name: output for name, output in outputs.items() if output is not None}
        whole = keras.Model(model.input, self.outputs)
        # Traced once for all signatures; what a signature does not return is pruned from it.
        self._ask = tf.function(lambda inputs: whole(inputs, training=False), autograph=False)

    def signatures(self) -> dict[str, tuple[Callable[..., Outputs], list[tf.TensorSpec]]]:
        """Return each signature's function and inputs; `explain` and `features` where the model has them."""
        size = self.decoding.size
        image = tf.TensorSpec((None, size, size, 3), tf.uint8, names.IMAGE)
        found: dict[str, tuple[Callable[..., Outputs], list[tf.TensorSpec]]] = {
            names.SERVING: (self.serve, [_IMAGES, *_METADATA]),
            names.IMAGE_ONLY: (self.serve_image_only, [_IMAGES]),
            names.TENSORS: (self.serve_tensors, [image, *_METADATA]),
            names.DECODE: (self.decode, [_IMAGES]),
            names.CLASSIFY: (self.classify, [tf.TensorSpec((None,), tf.string, names.EXAMPLES)]),
        }
        if names.ATTENTION in self.outputs:
            found[names.EXPLAIN] = (self.explain, [_IMAGES, *_METADATA])
        if names.FUSED in self.outputs:
            found[names.FEATURES] = (self.fused, [_IMAGES, *_METADATA])
        return found

    def write(self, folder: Path) -> None:
        """Write the SavedModel.

        Args:
            folder: A folder that does not exist.
        """
        archive = keras.export.ExportArchive()
        for table in self.tables.values():
            archive.track(table)
        for name, (function, inputs) in self.signatures().items():
            archive.add_endpoint(name, function, input_signature=inputs)
        archive.write_out(str(folder), verbose=False)

    def serve(
        self, image_bytes: tf.Tensor, age: tf.Tensor, sex: tf.Tensor, localization: tf.Tensor
    ) -> Outputs:
        """Classify image files `(batch,)` with metadata `(batch,)`, age in years."""
        found = self._ask(self._inputs(image_bytes, age, sex, localization))
        return self._answer(found[names.PROBABILITIES])

    def serve_image_only(self, image_bytes: tf.Tensor) -> Outputs:
        """Classify image files `(batch,)` of which nothing else is known."""
        return self.serve(image_bytes, *_unknown(image_bytes))

    def serve_tensors(
        self, image: tf.Tensor, age: tf.Tensor, sex: tf.Tensor, localization: tf.Tensor
    ) -> Outputs:
        """Classify uint8 RGB images `(batch, size, size, 3)`, as `decode` yields them, with metadata."""
        found = self._ask(self._with_metadata(image, age, sex, localization))
        return self._answer(found[names.PROBABILITIES])

    def decode(self, image_bytes: tf.Tensor) -> Outputs:
        """Decode image files `(batch,)` to uint8 RGB `(batch, size, size, 3)`."""
        return {names.IMAGE: decode_batch(image_bytes, self.decoding)}

    def explain(
        self, image_bytes: tf.Tensor, age: tf.Tensor, sex: tf.Tensor, localization: tf.Tensor
    ) -> Outputs:
        """Classify, and add the attention map float32 `(batch, h, w)`."""
        found = self._ask(self._inputs(image_bytes, age, sex, localization))
        attention = tf.cast(found[names.ATTENTION], tf.float32)
        return self._answer(found[names.PROBABILITIES]) | {names.ATTENTION: attention}

    def fused(
        self, image_bytes: tf.Tensor, age: tf.Tensor, sex: tf.Tensor, localization: tf.Tensor
    ) -> Outputs:
        """Return the fused vector float32 `(batch, length)` that the classifier sees."""
        found = self._ask(self._inputs(image_bytes, age, sex, localization))
        return {names.FUSED: tf.cast(found[names.FUSED], tf.float32)}

    def classify(self, inputs: tf.Tensor) -> Outputs:
        """Classify serialised `tf.train.Example` `(batch,)`; all but the image may be absent."""
        found = tf.io.parse_example(
            inputs,
            {
                names.IMAGE_BYTES: tf.io.FixedLenFeature((), tf.string),
                names.AGE: tf.io.FixedLenFeature((), tf.float32, float("nan")),
                names.SEX: tf.io.FixedLenFeature((), tf.string, ""),
                names.LOCALIZATION: tf.io.FixedLenFeature((), tf.string, ""),
            },
        )
        answer = self.serve(**found)
        return {names.CLASSES: answer[names.CLASSES], names.SCORES: answer[names.PROBABILITIES]}

    def indices(self, name: str, values: tf.Tensor) -> tf.Tensor:
        """Return int32 indices of terms, equal to those of `Vocabulary.indices` for every string."""
        return self.tables[name].lookup(tf.strings.lower(tf.strings.strip(values)))

    def _inputs(
        self, image_bytes: tf.Tensor, age: tf.Tensor, sex: tf.Tensor, localization: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return self._with_metadata(decode_batch(image_bytes, self.decoding), age, sex, localization)

    def _with_metadata(
        self, image: tf.Tensor, age: tf.Tensor, sex: tf.Tensor, localization: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return {
            names.IMAGE: image,
            names.AGE: age,
            names.SEX: self.indices(names.SEX, sex),
            names.LOCALIZATION: self.indices(names.LOCALIZATION, localization),
        }

    def _answer(self, probabilities: tf.Tensor) -> Outputs:
        classes = tf.constant(self.classes)
        found = {
            names.PROBABILITIES: probabilities,
            # TensorFlow Serving batches only what starts with the batch dimension.
            names.CLASSES: tf.tile(classes[tf.newaxis], (tf.shape(probabilities)[0], 1)),
            names.PREDICTED_CLASS: tf.gather(classes, tf.argmax(probabilities, axis=-1)),
        }
        if self.calibration is not None:
            calibrated = calibrate(probabilities, self.calibration["calibration"])
            found[names.CALIBRATED] = tf.cast(calibrated, tf.float32)
            if (abstention := self.calibration.get("abstention")) is not None:
                found[names.ABSTAIN] = tf.reduce_max(calibrated, axis=-1) < abstention["threshold"]
        return found


def calibrate(probabilities: tf.Tensor, calibration: Mapping[str, Any]) -> tf.Tensor:
    """Return calibrated probabilities, as `Calibration.apply` computes them.

    Args:
        probabilities: float32 `(batch, classes)`.
        calibration: `Calibration.to_dict()`.

    Returns:
        float64 `(batch, classes)`.
    """
    floor = np.finfo(np.float64).tiny
    logits = tf.math.log(tf.maximum(tf.cast(probabilities, tf.float64), floor))
    scale, shift = (tf.constant(calibration[key], tf.float64) for key in ("scale", "shift"))
    return tf.nn.softmax(logits * scale + shift)


def _table(vocabulary: Vocabulary) -> tf.lookup.StaticHashTable:
    table = vocabulary.table()
    # Constants rather than a vocabulary file: an export must not depend on where it lies.
    initializer = tf.lookup.KeyValueTensorInitializer(
        tf.constant(list(table), tf.string), tf.constant(list(table.values()), tf.int32)
    )
    return tf.lookup.StaticHashTable(initializer, OUT_OF_VOCABULARY)


def _unknown(image_bytes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    shape = tf.shape(image_bytes)
    nothing = tf.fill(shape, "")
    return tf.fill(shape, float("nan")), nothing, nothing


def _attention_map(model: keras.Model) -> Any:
    try:
        return attention_model(model).output
    except ModelError:
        return None


def _fused_vector(model: keras.Model) -> Any:
    # The members of an ensemble have a vector each, and the ensemble has none.
    return next((layer.output for layer in model.layers if layer.name == FUSED_LAYER), None)
