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


CLASSES, IMAGES, IMAGE_SIZE = 3, 24, 32


@pytest.fixture
def coloured():
    """Images of three colours with noise, as the model takes them, and their labels."""
    random = np.random.default_rng(0)
    labels = np.arange(IMAGES) % CLASSES
    colours = np.array([[170, 90, 90], [90, 170, 90], [90, 90, 170]])[labels]
    pixels = colours[:, None, None, :] + random.integers(-60, 60, (IMAGES, IMAGE_SIZE, IMAGE_SIZE, 3))
    unknown = np.ones(IMAGES, np.int32)
    age = np.full(IMAGES, np.nan, np.float32)
    inputs = {"image": pixels.astype(np.uint8), "age": age, "sex": unknown, "localization": unknown}
    return inputs, np.eye(CLASSES, dtype=np.float32)[labels]


def accuracies(model, inputs, labels, *, learning_rate, steps):
    """Return the accuracy of the last training steps, and that of validation on the very same images."""
    model.compile(
        keras.optimizers.Adam(learning_rate),
        "categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=False,
    )
    for step in range(steps):
        if step == steps - 5:
            model.reset_metrics()
        logs = model.train_on_batch(inputs, labels, return_dict=True)
    return logs["accuracy"], validation_accuracy(model, inputs, labels)


@pytest.mark.slow
def test_the_statistics_of_a_mobilenet_follow_with_the_momentum_of_the_recipe(coloured):
    import skinzoo
    from skinzoo.config import make_config

    keras.utils.set_random_seed(0)
    choices = {"attention": "none", "fusion": "image_only", "pooling": "gap"}
    model = skinzoo.create_model("mobilenetv2", classes=CLASSES, image_size=IMAGE_SIZE, **choices)
    assert {layer.momentum for layer in batch_normalisations(model)} == {MOBILENET_MOMENTUM}
    training, validation = accuracies(model, *coloured, learning_rate=1e-3, steps=30)
    assert training > 0.95
    assert validation < 0.5

    recipe = make_config("mobilenetv2", recipe="default").training
    assert recipe.batch_norm == "momentum"
    override_momentum(model, recipe.batch_norm_momentum)
    # At momentum 0.9 a hundred steps leave 3e-5 of what the statistics began with.
    training, validation = accuracies(model, *coloured, learning_rate=1e-5, steps=100)
    assert training > 0.95
    assert validation > 0.9
