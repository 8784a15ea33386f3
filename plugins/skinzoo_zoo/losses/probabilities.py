"""What the losses share: from model outputs to float32 log-probabilities, and class weights."""

import keras
from keras import ops

from skinzoo_zoo.losses.checks import weight_vector

# Far below Keras' 1e-7, so that a softmax saturated on the wrong class still passes a gradient on, as a loss
# on logits would; large enough that its inverse, times weights and a loss scale, stays finite in float32.
PROBABILITY_FLOOR = 1e-25
# Distance from 1 below which `1 - p` is rounding error in float32.
COMPLEMENT_FLOOR = 1e-7


class ProbabilityLoss(keras.losses.Loss):
    """A loss between one-hot (or soft) labels `(batch, classes)` and class probabilities of that shape.

    Computes in float32 whatever the model's policy is. With `reduction="sum_over_batch_size"` the sum over
    cases is divided by their number, never by a sum of weights (Nguyen et al. 2022, Eq. 2).
    Subclasses implement `losses`.
    """

    def __init__(self, reduction="sum_over_batch_size", name=None):
        super().__init__(name=name, reduction=reduction, dtype="float32")

    def call(self, y_true, y_pred):
        """Return the loss of each case, `(batch,)`."""
        labels = ops.cast(y_true, "float32")
        probabilities = ops.cast(y_pred, "float32")
        if labels.shape[-1] != probabilities.shape[-1]:
            raise ValueError(
                "`y_true` and `y_pred` must have the same number of classes. "
                f"Received: shapes {tuple(labels.shape)} and {tuple(probabilities.shape)}"
            )
        return self.losses(labels, probabilities)

    def losses(self, labels, probabilities):
        """Return the loss of each case from float32 tensors `(batch, classes)`."""
        raise NotImplementedError


def log_probabilities(probabilities):
    """Return the logarithms of probabilities, those below the floor raised to it."""
    return ops.log(ops.clip(probabilities, PROBABILITY_FLOOR, 1.0))


def optional_weights(class_weights):
    """Return checked class weights as a tuple, or None for None."""
    return None if class_weights is None else weight_vector("class_weights", class_weights)


def per_class(values, like):
    """Return one number a class as a tensor that multiplies `like`, `(batch, classes)`.

    Raises:
        ValueError: There are not as many numbers as classes.
    """
    if len(values) != like.shape[-1]:
        raise ValueError(f"Need one number a class. Received: {len(values)} for {like.shape[-1]} classes")
    return ops.convert_to_tensor(values, dtype="float32")
