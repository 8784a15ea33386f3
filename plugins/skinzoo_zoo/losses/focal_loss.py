"""Focal cross-entropy with class weights."""

import keras
from keras import ops

from skinzoo_zoo.losses.checks import number
from skinzoo_zoo.losses.probabilities import (
    COMPLEMENT_FLOOR,
    ProbabilityLoss,
    log_probabilities,
    optional_weights,
    per_class,
)


@keras.saving.register_keras_serializable(package="skinzoo")
class ClassWeightedFocalCrossentropy(ProbabilityLoss):
    """Focal loss `-sum_c W_c y_c (1 - p_c)^gamma log p_c` (Lin et al. 2017, Eq. 5).

    Args:
        class_weights: One weight a class, in class order; None for 1 everywhere.
        gamma: Focusing parameter, at least 0; 0 is cross-entropy.
        reduction: As for `keras.losses.Loss`.
        name: Name of the loss.
    """

    def __init__(
        self,
        class_weights=None,
        gamma=2.0,
        reduction="sum_over_batch_size",
        name="class_weighted_focal_crossentropy",
    ):
        super().__init__(reduction=reduction, name=name)
        self.class_weights = optional_weights(class_weights)
        self.gamma = number("gamma", gamma, least=0)

    def losses(self, labels, probabilities):
        """Return the loss of each case."""
        # At p = 1 a power below 1 has an infinite slope, which would meet log p = 0 as NaN.
        complement = ops.clip(1.0 - probabilities, COMPLEMENT_FLOOR, 1.0)
        terms = labels * ops.power(complement, self.gamma) * log_probabilities(probabilities)
        if self.class_weights is not None:
            terms = terms * per_class(self.class_weights, terms)
        return -ops.sum(terms, axis=-1)

    def get_config(self):
        """Return the constructor arguments."""
        return super().get_config() | {"class_weights": self.class_weights, "gamma": self.gamma}
