"""Cross-entropy with class weights and label smoothing."""

import keras
from keras import ops

from skinzoo_zoo.losses.checks import number
from skinzoo_zoo.losses.probabilities import ProbabilityLoss, log_probabilities, optional_weights, per_class


@keras.saving.register_keras_serializable(package="skinzoo")
class ClassWeightedCrossentropy(ProbabilityLoss):
    """Cross-entropy `-sum_c W_c y_c log p_c` (Nguyen et al. 2022, Eq. 2).

    Args:
        class_weights: One weight a class, in class order; None for 1 everywhere.
        label_smoothing: Share s of each label that is spread over all C classes:
            `y_c (1 - s) + s / C` (Szegedy et al. 2016).
        reduction: As for `keras.losses.Loss`.
        name: Name of the loss.
    """

    def __init__(
        self,
        class_weights=None,
        label_smoothing=0.0,
        reduction="sum_over_batch_size",
        name="class_weighted_crossentropy",
    ):
        super().__init__(reduction=reduction, name=name)
        self.class_weights = optional_weights(class_weights)
        self.label_smoothing = number("label_smoothing", label_smoothing, least=0, most=1)

    def losses(self, labels, probabilities):
        """Return the loss of each case."""
        if self.label_smoothing:
            share = self.label_smoothing / labels.shape[-1]
            labels = labels * (1 - self.label_smoothing) + share
        if self.class_weights is not None:
            labels = labels * per_class(self.class_weights, labels)
        return -ops.sum(labels * log_probabilities(probabilities), axis=-1)

    def get_config(self):
        """Return the constructor arguments."""
        return super().get_config() | {
            "class_weights": self.class_weights,
            "label_smoothing": self.label_smoothing,
        }
