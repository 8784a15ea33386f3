"""Every loss against its formula in NumPy."""

import keras
import loss_reference as reference
import numpy as np
import pytest
import tensorflow as tf
from skinzoo_zoo.losses.cross_entropy_loss import ClassWeightedCrossentropy
from skinzoo_zoo.losses.focal_loss import ClassWeightedFocalCrossentropy
from skinzoo_zoo.losses.logit_adjusted_loss import LogitAdjustedCrossentropy
from skinzoo_zoo.losses.multi_weighted_loss import MultiWeightedLoss

LOGITS, P, INDEX, Y = reference.cases()
MIXED = 0.7 * Y + 0.3 * np.roll(Y, 1, axis=0)
WEIGHTS = reference.balanced(reference.HAM10000)
PAPER = (4.37, 2.78, 1.3, 12.44, 1.28, 0.21, 10)


def values(loss, y=Y, p=P):
    return keras.ops.convert_to_numpy(loss(y, p))


def probability_gradient(loss, y, p):
    p = tf.constant(p, "float32")
    with tf.GradientTape() as tape:
        tape.watch(p)
        value = loss(tf.constant(y, "float32"), p)
    return value.numpy(), tape.gradient(value, p).numpy()


def logit_gradient(loss, y, logits):
    logits = tf.constant(logits, "float32")
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(tf.constant(y, "float32"), tf.nn.softmax(logits))
    return tape.gradient(value, logits).numpy()


@pytest.mark.parametrize("y", [Y, MIXED], ids=["one-hot", "soft"])
@pytest.mark.parametrize("weights", [None, WEIGHTS, PAPER], ids=["plain", "balanced", "paper"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy(y, weights, smoothing):
    loss = ClassWeightedCrossentropy(weights, label_smoothing=smoothing, reduction="none")
    np.testing.assert_allclose(values(loss, y), reference.cross_entropy(y, P, weights, smoothing), rtol=1e-5)


@pytest.mark.parametrize("y", [Y, MIXED], ids=["one-hot", "soft"])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "balanced"])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal(y, weights, gamma):
    loss = ClassWeightedFocalCrossentropy(weights, gamma=gamma, reduction="none")
    np.testing.assert_allclose(values(loss, y), reference.focal(y, P, gamma, weights), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("y", [Y, MIXED], ids=["one-hot", "soft"])
@pytest.mark.parametrize("tau", [0.0, 1.0, 1.5])
def test_logit_adjusted(y, tau):
    loss = LogitAdjustedCrossentropy(reference.HAM10000, tau=tau, reduction="none")
    np.testing.assert_allclose(
        values(loss, y), reference.logit_adjusted(y, P, reference.HAM10000, tau), rtol=1e-4
    )


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("weights", [None, PAPER], ids=["plain", "paper"])
def test_multi_weighted_in_full(threshold, gamma, weights):
    loss = MultiWeightedLoss(
        weights, gamma=gamma, threshold=threshold, normalise=False, epoch=60, reduction="none"
    )
    expected = reference.multi_weighted(LOGITS, INDEX, gamma, threshold, weights or [1] * 7)
    np.testing.assert_allclose(values(loss), expected, rtol=1e-4)


def test_multi_weighted_soft_label_is_the_mixture_of_its_cases():
    loss = MultiWeightedLoss(reduction="none")
    y = np.array([[0.7, 0.3, 0.0]])
    p = np.array([[0.5, 0.3, 0.2]])
    hard = [values(loss, np.eye(3)[[i]], p)[0] for i in (0, 1)]
    assert values(loss, y, p)[0] == pytest.approx(0.7 * hard[0] + 0.3 * hard[1], rel=1e-5)


def test_multi_weighted_ignores_outliers():
    logits = np.array([[-9.0, 9.0, 0.0]])
    gradient = logit_gradient(MultiWeightedLoss(), np.array([[1.0, 0.0, 0.0]]), logits)
    # Classes 0 and 1 are both hopeless; what is left is the term of class 2, q = 0.5.
    z = tf.constant(logits, "float32")
    with tf.GradientTape() as tape:
        tape.watch(z)
        q = tf.sigmoid(-z[:, 2])
        value = tf.reduce_sum(-((1 - q) ** 2) * tf.math.log(q))
    alone = tape.gradient(value, z).numpy()
    np.testing.assert_allclose(gradient, alone - alone.mean(), atol=1e-5)
    all_hopeless = logit_gradient(MultiWeightedLoss(threshold=0.6), np.array([[1.0, 0, 0]]), logits)
    np.testing.assert_allclose(all_hopeless, 0, atol=1e-6)


def test_agrees_with_keras():
    np.testing.assert_allclose(
        values(ClassWeightedCrossentropy(label_smoothing=0.1)),
        keras.losses.CategoricalCrossentropy(label_smoothing=0.1)(Y, P),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        values(ClassWeightedFocalCrossentropy(WEIGHTS, gamma=2.0)),
        keras.losses.CategoricalFocalCrossentropy(alpha=WEIGHTS, gamma=2.0)(Y, P),
        rtol=1e-4,
    )


def test_the_weighted_sum_is_divided_by_the_number_of_cases():
    each = reference.cross_entropy(Y, P, PAPER)
    assert values(ClassWeightedCrossentropy(PAPER)) == pytest.approx(each.sum() / len(Y), rel=1e-5)
    case_weights = np.linspace(0.1, 3, len(Y))
    assert float(ClassWeightedCrossentropy(PAPER)(Y, P, sample_weight=case_weights)) == pytest.approx(
        (each * case_weights).sum() / len(Y), rel=1e-5
    )


LOSSES = {
    "ce": ClassWeightedCrossentropy(),
    "weighted_ce": ClassWeightedCrossentropy(WEIGHTS),
    "smoothed": ClassWeightedCrossentropy(label_smoothing=0.1),
    "focal": ClassWeightedFocalCrossentropy(WEIGHTS),
    "focal_half": ClassWeightedFocalCrossentropy(gamma=0.5),
    "focal_zero": ClassWeightedFocalCrossentropy(gamma=0.0),
    "adjusted": LogitAdjustedCrossentropy(reference.HAM10000),
    "mwnl": MultiWeightedLoss(WEIGHTS, epoch=60),
    "mwnl_half": MultiWeightedLoss(WEIGHTS, gamma=0.5, threshold=0.0, epoch=60),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_value_and_gradient_stay_finite_at_zero_and_one(loss):
    certain = np.eye(7)
    for p in (certain, np.roll(certain, 1, axis=1)):
        value, gradient = probability_gradient(loss, certain, p)
        assert np.isfinite(value)
        assert np.isfinite(gradient).all()
        assert np.isfinite(logit_gradient(loss, certain, 300 * p)).all()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gradient_is_that_of_the_value(loss):
    direction = np.random.default_rng(1).normal(size=LOGITS.shape)
    step = 1e-2

    def value(logits):
        return float(loss(Y, reference.softmax(logits)))

    slope = (value(LOGITS + step * direction) - value(LOGITS - step * direction)) / (2 * step)
    assert np.sum(logit_gradient(loss, Y, LOGITS) * direction) == pytest.approx(slope, rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("gap", [10.0, 30.0, 50.0])
def test_a_saturated_softmax_still_learns(gap):
    y = np.array([[1.0, 0.0]])
    gradient = logit_gradient(ClassWeightedCrossentropy(), y, np.array([[0.0, gap]]))
    np.testing.assert_allclose(gradient, [[-1.0, 1.0]], atol=1e-3)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_half_precision_inputs_are_computed_in_float32(loss):
    half = P.astype("float16")
    value = loss(tf.constant(Y, "float16"), tf.constant(half))
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(float(loss(Y, half.astype("float32"))), rel=1e-6)


def test_float16_would_have_lost_the_case():
    y, p = np.eye(7)[:1], np.full((1, 7), 1 / 7)
    p[0, 0] = 3e-6
    value = float(ClassWeightedCrossentropy()(y, p.astype("float16")))
    assert value == pytest.approx(-np.log(np.float64(np.float16(3e-6))), rel=1e-5)


def test_a_wrong_number_of_classes_is_refused():
    with pytest.raises(ValueError, match="same number of classes"):
        ClassWeightedCrossentropy()(Y[:, :6], P)
    with pytest.raises(ValueError, match="Received: 3 for 7 classes"):
        ClassWeightedCrossentropy([1, 2, 3])(Y, P)
    with pytest.raises(ValueError, match="Received: 1 for 7 classes"):
        ClassWeightedFocalCrossentropy([2])(Y, P)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClassWeightedCrossentropy([1, -1]), r"`class_weights\[1\]` must be finite, at least 0"),
        (lambda: ClassWeightedCrossentropy([1, float("nan")]), "nan"),
        (lambda: ClassWeightedCrossentropy([0, 0]), "positive"),
        (lambda: ClassWeightedCrossentropy("12"), "list of numbers"),
        (lambda: ClassWeightedCrossentropy([True, 1]), "must be a number"),
        (lambda: ClassWeightedCrossentropy(label_smoothing=1.5), "at most 1"),
        (lambda: ClassWeightedFocalCrossentropy(gamma=-1), "`gamma`"),
        (lambda: ClassWeightedFocalCrossentropy(gamma="2"), "`gamma` must be a number"),
        (lambda: LogitAdjustedCrossentropy([1, 0]), "positive for every class"),
        (lambda: LogitAdjustedCrossentropy([1, 1], tau=-1), "`tau`"),
        (lambda: MultiWeightedLoss(threshold=1), "below 1"),
        (lambda: MultiWeightedLoss(start_epoch=5, end_epoch=4), "must not be before"),
        (lambda: MultiWeightedLoss(start_epoch=1.5), "whole number"),
        (lambda: MultiWeightedLoss(normalise="no"), "true or false"),
        (lambda: MultiWeightedLoss(epoch=-1), "`epoch`"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
