"""The cumulative learning schedule, alone and through `fit`."""

from pathlib import Path

import keras
import loss_reference as reference
import numpy as np
import pytest
from skinzoo_zoo.losses.cross_entropy_loss import ClassWeightedCrossentropy
from skinzoo_zoo.losses.multi_weighted_loss import LossSchedule, MultiWeightedLoss

from skinzoo.plugins import installed_plugins

LOGITS, P, INDEX, Y = reference.cases()
COUNTS = np.array(reference.HAM10000)
FULL = COUNTS**-1.1


def values(loss):
    return np.asarray(loss(Y, P))


@pytest.mark.parametrize(
    ("epoch", "beta"),
    [
        (0, 0),
        (19, 0),
        (20, 0),
        (30, 1.1 / 16),
        (40, 1.1 / 4),
        (59, 1.1 * (39 / 40) ** 2),
        (60, 1.1),
        (99, 1.1),
    ],
)
def test_exponent_of_each_epoch(epoch, beta):
    loss = MultiWeightedLoss(FULL, normalise=False, reduction="none")
    loss.set_epoch(epoch)
    expected = reference.multi_weighted(LOGITS, INDEX, 2, 0.1, COUNTS ** float(-beta))
    np.testing.assert_allclose(values(loss), expected, rtol=2e-4)


def test_normalised_weights_keep_the_scale():
    loss = MultiWeightedLoss(FULL, reduction="none")
    for epoch in (0, 45, 60):
        loss.set_epoch(epoch)
        beta = 1.1 * min(1, max(0, (epoch - 20) / 40)) ** 2
        weights = COUNTS ** float(-beta)
        expected = reference.multi_weighted(LOGITS, INDEX, 2, 0.1, weights / weights.mean())
        np.testing.assert_allclose(values(loss), expected, rtol=2e-4)


def test_start_and_end_in_one_epoch_is_a_switch():
    loss = MultiWeightedLoss(FULL, start_epoch=3, end_epoch=3)
    assert loss.set_epoch(2) is False
    assert loss.set_epoch(3) is True
    assert loss.set_epoch(4) is False
    assert float(loss.ramp.value) == 1.0


class Recorder(keras.callbacks.Callback):
    """Loss of fixed cases, as the compiled test step sees it, in each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append(self.model.test_on_batch(P.astype("float32"), Y))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_fit_follows_the_schedule(jit_compile):
    model = keras.Sequential([keras.Input((7,)), Frozen()])
    loss = MultiWeightedLoss(FULL, start_epoch=1, end_epoch=3)
    model.compile(keras.optimizers.SGD(0.0), loss, jit_compile=jit_compile)
    recorder = Recorder()
    history = model.fit(
        P, Y, batch_size=len(Y), epochs=5, callbacks=[LossSchedule(), recorder], verbose=0, shuffle=False
    )
    expected = []
    for epoch in range(5):
        loss.set_epoch(epoch)
        expected.append(float(loss(Y, P)))
    assert len(set(expected)) == 3
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(recorder.seen, expected, rtol=1e-5)


def test_a_resumed_training_continues_the_schedule():
    model = keras.Sequential([keras.Input((7,)), Frozen()])
    loss = MultiWeightedLoss(FULL)
    model.compile(keras.optimizers.SGD(0.0), loss)
    model.fit(P, Y, initial_epoch=41, epochs=42, callbacks=[LossSchedule()], verbose=0)
    assert loss.epoch == 41
    assert float(loss.ramp.value) == pytest.approx((21 / 40) ** 2)


def test_losses_without_a_schedule_are_left_alone():
    model = keras.Sequential([keras.Input((7,)), Frozen()])
    for loss in ("categorical_crossentropy", ClassWeightedCrossentropy()):
        model.compile(keras.optimizers.SGD(0.0), loss)
        model.fit(P, Y, callbacks=[LossSchedule()], verbose=0)


def test_the_callback_comes_in_through_the_hook(tmp_path: Path):
    callbacks = [c for plugin in installed_plugins() for c in plugin.callbacks(tmp_path)]
    assert sum(isinstance(callback, LossSchedule) for callback in callbacks) == 1


class Frozen(keras.layers.Layer):
    """Hands probabilities through, with a weight that has a gradient."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        return inputs * self.scale
