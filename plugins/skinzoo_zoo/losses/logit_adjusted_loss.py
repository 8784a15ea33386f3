"""Logit-adjusted cross-entropy."""

import keras
from keras import ops

from skinzoo_zoo.losses.checks import number, weight_vector
from skinzoo_zoo.losses.probabilities import ProbabilityLoss, log_probabilities, per_class


@keras.saving.register_keras_serializable(package="skinzoo")
class LogitAdjustedCrossentropy(ProbabilityLoss):
    """Cross-entropy of `softmax(log p + tau log prior)` (Menon et al. 2021, Eq. 10).

    The paper adds `tau log prior` to the logits f. Here probabilities come in; `log p` is f up to a constant
    of the case, which the softmax removes again, so the value is the paper's exactly.

    Args:
        class_prior: Share of each class in the training part, or counts, in class order; all positive.
        tau: Strength of the adjustment, at least 0; 0 is cross-entropy.
        reduction: As for `keras.losses.Loss`.
        name: Name of the loss.
    """

    def __init__(
        self, class_prior, tau=1.0, reduction="sum_over_batch_size", name="logit_adjusted_crossentropy"
    ):
        super().__init__(reduction=reduction, name=name)
        shares = weight_vector("class_prior", class_prior)
        if not all(shares):
            raise ValueError(f"`class_prior` must be positive for every class. Received: {list(shares)}")
        self.class_prior = tuple(share / sum(shares) for share in shares)
        self.tau = number("tau", tau, least=0)

    def losses(self, labels, probabilities):
        """Return the loss of each case."""
        adjustment = self.tau * ops.log(per_class(self.class_prior, labels))
        adjusted = ops.log_softmax(log_probabilities(probabilities) + adjustment, axis=-1)
        return -ops.sum(labels * adjusted, axis=-1)

    def get_config(self):
        """Return the constructor arguments."""
        return super().get_config() | {"class_prior": self.class_prior, "tau": self.tau}
