"""Losses survive their config and a saved model."""

import keras
import loss_reference as reference
import numpy as np
import pytest
from skinzoo_zoo.losses.cross_entropy_loss import ClassWeightedCrossentropy
from skinzoo_zoo.losses.focal_loss import ClassWeightedFocalCrossentropy
from skinzoo_zoo.losses.logit_adjusted_loss import LogitAdjustedCrossentropy
from skinzoo_zoo.losses.multi_weighted_loss import MultiWeightedLoss

_, P, _, Y = reference.cases()
WEIGHTS = reference.balanced(reference.HAM10000)
LOSSES = [
    ClassWeightedCrossentropy(WEIGHTS, label_smoothing=0.2, reduction="sum", name="mine"),
    ClassWeightedCrossentropy(),
    ClassWeightedFocalCrossentropy(WEIGHTS, gamma=1.5),
    LogitAdjustedCrossentropy(reference.HAM10000, tau=0.7),
    MultiWeightedLoss(
        WEIGHTS,
        gamma=1,
        threshold=0.2,
        start_epoch=2,
        end_epoch=9,
        normalise=False,
        epoch=5,
        reduction="none",
    ),
]


def same_value(loss, other):
    np.testing.assert_allclose(loss(Y, P), other(Y, P), rtol=1e-7)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_config_round_trip(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert type(again) is type(loss)
    assert again is not loss
    assert again.get_config() == loss.get_config()
    same_value(loss, again)
    assert keras.saving.get_registered_name(type(loss)).startswith("skinzoo>")


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_config_holds_every_argument(loss):
    import inspect

    arguments = set(inspect.signature(type(loss).__init__).parameters) - {"self"}
    assert set(loss.get_config()) == arguments


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_saved_model_round_trip(loss, tmp_path):
    if loss.reduction == "none":
        loss = type(loss)(**{**loss.get_config(), "reduction": "sum_over_batch_size"})
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(7, activation="softmax")])
    model.compile("sgd", loss)
    x = np.random.default_rng(0).normal(size=(len(Y), 4)).astype("float32")
    model.fit(x, Y, verbose=0)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.get_config() == loss.get_config()
    assert again.evaluate(x, Y, verbose=0) == pytest.approx(model.evaluate(x, Y, verbose=0), rel=1e-5)


def test_computes_in_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(7, activation="softmax")])
        model.compile("adam", ClassWeightedCrossentropy(WEIGHTS), jit_compile=False)
        x = np.random.default_rng(0).normal(size=(len(Y), 4)).astype("float32")
        before = [w.copy() for w in model.get_weights()]
        # The first steps are skipped while the loss scale comes down from 2^15.
        history = model.fit(x, Y, verbose=0, epochs=12)
        after = model.get_weights()
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history.history["loss"]).all()
    assert all(np.isfinite(w).all() for w in after)
    assert any((a != b).any() for a, b in zip(after, before, strict=True))
