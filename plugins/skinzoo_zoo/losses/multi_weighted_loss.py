"""The multi-weighted loss of Yao et al. (2022), its schedule, and the callback that drives schedules."""

import keras
from keras import ops

from skinzoo_zoo.losses.checks import epoch_number, number, weight_vector
from skinzoo_zoo.losses.probabilities import COMPLEMENT_FLOOR, ProbabilityLoss, log_probabilities, per_class


@keras.saving.register_keras_serializable(package="skinzoo")
class MultiWeightedLoss(ProbabilityLoss):
    """Focal loss of one-against-rest sigmoids, blind to outliers, with class weights that set in late.

    For a case of class y let `z_t = z_i` for `i = y` and `-z_i` otherwise, and `q = sigmoid(z_t)`. A term is
    `-(1 - q)^gamma log q` where `q > threshold`, and that expression's value at the threshold below it, so
    that hopeless outliers give no gradient. The loss is the class weight of y times the sum of the terms over
    all classes i (Yao et al. 2022, MWNL).

    The paper's z are logits. Here class probabilities of a softmax come in, which hold the logits up to one
    constant a case; `z_i = log p_i - mean_j log p_j` takes that constant so that the z of a case sum to 0. An
    untrained network thus starts near `q = 0.5` as in the paper, and the order of the classes is kept.
    A soft label counts as the mixture of its two cases: `y_i term(z_i) + (1 - y_i) term(-z_i)`, with the
    weight `sum_c y_c W_c`.

    Cumulative learning: with `ramp(E) = 0` before `start_epoch`, 1 from `end_epoch` on and
    `((E - start_epoch) / (end_epoch - start_epoch))^2` between, the weights of epoch E are `W_c^ramp(E)`:
    training starts unweighted and ends fully weighted. `set_epoch` moves the schedule.

    Args:
        class_weights: One weight a class, in class order, as they are from `end_epoch` on; None for 1
            everywhere.
        gamma: Focusing parameter r, at least 0.
        threshold: T, at least 0 and below 1.
        start_epoch: Epochs before this one, counted from 0, are unweighted.
        end_epoch: From this epoch on the weights hold in full.
        normalise: Whether the weights of each epoch are scaled to a mean of 1 over the classes.
        epoch: Epoch to start in; saved models resume in theirs.
        reduction: As for `keras.losses.Loss`.
        name: Name of the loss.
    """

    def __init__(
        self,
        class_weights=None,
        gamma=2.0,
        threshold=0.1,
        start_epoch=20,
        end_epoch=60,
        normalise=True,
        epoch=0,
        reduction="sum_over_batch_size",
        name="multi_weighted_loss",
    ):
        super().__init__(reduction=reduction, name=name)
        self.class_weights = None if class_weights is None else weight_vector("class_weights", class_weights)
        self.gamma = number("gamma", gamma, least=0)
        self.threshold = number("threshold", threshold, least=0, most=1)
        if self.threshold == 1:
            raise ValueError(f"`threshold` must be below 1. Received: {threshold!r}")
        self.start_epoch = epoch_number("start_epoch", start_epoch)
        self.end_epoch = epoch_number("end_epoch", end_epoch)
        if self.end_epoch < self.start_epoch:
            raise ValueError(
                "`end_epoch` must not be before `start_epoch`. "
                f"Received: start_epoch={start_epoch!r}, end_epoch={end_epoch!r}"
            )
        if not isinstance(normalise, bool):
            raise ValueError(f"`normalise` must be true or false. Received: {normalise!r}")
        self.normalise = normalise
        self.epoch = epoch_number("epoch", epoch)
        # A variable, so that a training step that was compiled in one epoch sees the next one's value.
        self.ramp = keras.Variable(self._ramp_at(self.epoch), trainable=False, dtype="float32", name="ramp")

    def set_epoch(self, epoch):
        """Move the schedule to an epoch, counted from 0.

        Returns:
            Whether the weights changed.
        """
        before = self._ramp_at(self.epoch)
        self.epoch = epoch_number("epoch", epoch)
        ramp = self._ramp_at(self.epoch)
        self.ramp.assign(ramp)
        return ramp != before

    def _ramp_at(self, epoch):
        if epoch < self.start_epoch:
            return 0.0
        if epoch >= self.end_epoch:
            return 1.0
        return ((epoch - self.start_epoch) / (self.end_epoch - self.start_epoch)) ** 2

    def losses(self, labels, probabilities):
        """Return the loss of each case."""
        logits = log_probabilities(probabilities)
        logits = logits - ops.mean(logits, axis=-1, keepdims=True)
        terms = labels * self._terms(logits) + (1.0 - labels) * self._terms(-logits)
        losses = ops.sum(terms, axis=-1)
        if self.class_weights is None:
            return losses
        weights = ops.power(per_class(self.class_weights, labels), self.ramp)
        if self.normalise:
            weights = weights / ops.mean(weights)
        return losses * ops.sum(labels * weights, axis=-1)

    def _terms(self, scores):
        log_q = ops.log_sigmoid(scores)
        if self.threshold:
            log_q = ops.maximum(log_q, ops.log(self.threshold))
        complement = ops.clip(-ops.expm1(log_q), COMPLEMENT_FLOOR, 1.0)
        return -ops.power(complement, self.gamma) * log_q

    def get_config(self):
        """Return the constructor arguments."""
        return super().get_config() | {
            "class_weights": self.class_weights,
            "gamma": self.gamma,
            "threshold": self.threshold,
            "start_epoch": self.start_epoch,
            "end_epoch": self.end_epoch,
            "normalise": self.normalise,
            "epoch": self.epoch,
        }


class LossSchedule(keras.callbacks.Callback):
    """Tells the model's loss which epoch begins, where the loss has a method `set_epoch(epoch)`.

    Epochs are counted as Keras counts them, from 0 or from where a resumed training goes on.
    """

    def on_epoch_begin(self, epoch, logs=None):
        """Move the loss's schedule."""
        for loss in keras.tree.flatten(self.model.loss):
            if hasattr(loss, "set_epoch") and loss.set_epoch(epoch) is not False:
                self._renew_compiled_steps()

    def _renew_compiled_steps(self):
        # JAX burns the value of a variable that no layer owns into the compiled step.
        if keras.backend.backend() == "jax":
            self.model.make_train_function(force=True)
            self.model.make_test_function(force=True)
