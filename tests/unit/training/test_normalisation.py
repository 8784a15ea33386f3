"""Running statistics that follow fine-tuning: the gap between training and validation, and what closes it."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from skinzoo.training.normalisation import Reestimation, batch_normalisations, override_momentum  # noqa: E402

MOBILENET_MOMENTUM = 0.999
STEPS, BATCH = 80, 32


@pytest.fixture
def blobs():
    """Two classes of points far from the origin, as new data are from what a network was trained on."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, STEPS * BATCH)
    points = random.normal(size=(len(labels), 8)) + 3.0 * labels[:, None] + 20.0
    return points.astype(np.float32), np.eye(2, dtype=np.float32)[labels]


@pytest.fixture
def model():
    """A classifier on a backbone whose running statistics move as slowly as MobileNet's."""
    keras.utils.set_random_seed(0)
    inner = keras.Input((8,))
    x = keras.layers.Dense(16)(inner)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=MOBILENET_MOMENTUM)(x))
    backbone = keras.Model(inner, x, name="backbone")
    inputs = keras.Input((8,))
    outputs = keras.layers.Dense(2, activation="softmax")(backbone(inputs))
    return keras.Model(inputs, outputs)


def fine_tune(model, points, labels):
    model.compile(
        keras.optimizers.Adam(0.003), "categorical_crossentropy", metrics=["accuracy"], jit_compile=False
    )
    for step in range(STEPS):
        rows = slice(step * BATCH, (step + 1) * BATCH)
        logs = model.train_on_batch(points[rows], labels[rows], return_dict=True)
    return logs["accuracy"]


def validation_accuracy(model, points, labels):
    return float((model.predict(points, verbose=0).argmax(1) == labels.argmax(1)).mean())


def test_slow_statistics_spoil_validation(model, blobs):
    assert fine_tune(model, *blobs) > 0.85
    assert validation_accuracy(model, *blobs) < 0.7


def test_lower_momentum_closes_the_gap(model, blobs):
    override_momentum(model, 0.9)
    assert [layer.momentum for layer in batch_normalisations(model)] == [0.9]
    assert fine_tune(model, *blobs) > 0.85
    assert validation_accuracy(model, *blobs) > 0.9


def test_reestimated_statistics_close_the_gap(model, blobs):
    points, labels = blobs
    fine_tune(model, points, labels)
    reestimate = Reestimation(model)
    for _ in range(2):
        reestimate(points[i : i + BATCH] for i in range(0, 10 * BATCH, BATCH))
    assert validation_accuracy(model, points, labels) > 0.95
    (layer,) = batch_normalisations(model)
    assert layer.momentum == MOBILENET_MOMENTUM
    dense = model.get_layer("backbone").layers[1]
    expected = np.asarray(dense(points[: 10 * BATCH]))
    np.testing.assert_allclose(layer.moving_mean.numpy(), expected.mean(0), rtol=1e-4)


def test_a_momentum_that_is_lower_already_stays(model):
    override_momentum(model, 0.9999)
    assert [layer.momentum for layer in batch_normalisations(model)] == [MOBILENET_MOMENTUM]
