"""Every registered loss builds, and gives finite values and gradients."""

import numpy as np
import pytest
import tensorflow as tf

from skinzoo.registry import registry
from skinzoo.specs import LossRequest

LOSSES = registry().parts("loss")
REQUEST = LossRequest(class_counts=(300, 20, 1), class_names=("a", "b", "c"))
LABELS = {
    "one-hot": np.eye(3),
    "soft": np.array([[0.6, 0.4, 0.0], [0.1, 0.8, 0.1], [1 / 3, 1 / 3, 1 / 3]]),
}
LOGITS = {"fresh": np.zeros((3, 3)), "right": 200 * np.eye(3), "wrong": -200 * np.eye(3)}


def test_there_are_losses():
    assert LOSSES


@pytest.mark.parametrize("part", LOSSES, ids=lambda part: part.name)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("logits", LOGITS.values(), ids=LOGITS)
def test_finite_value_and_gradient(part, labels, logits):
    loss = part.spec.build(REQUEST)
    logits = tf.constant(logits, "float32")
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(tf.constant(labels, "float32"), tf.nn.softmax(logits))
    gradient = tape.gradient(value, logits).numpy()
    assert value.shape == ()
    assert value.dtype == tf.float32
    assert np.isfinite(float(value))
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("part", LOSSES, ids=lambda part: part.name)
def test_a_step_down_the_gradient_lowers_the_loss(part):
    loss = part.spec.build(REQUEST)
    labels = tf.eye(3)
    logits = tf.random.stateless_normal((3, 3), seed=(1, 2))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(labels, tf.nn.softmax(logits))
    gradient = tape.gradient(value, logits)
    assert float(tf.norm(gradient)) > 0
    step = 1e-2 / float(tf.norm(gradient))
    assert float(loss(labels, tf.nn.softmax(logits - step * gradient))) < float(value)


@pytest.mark.parametrize("part", LOSSES, ids=lambda part: part.name)
def test_the_right_answer_costs_least(part):
    loss = part.spec.build(REQUEST)
    y = np.array([[0.0, 1.0, 0.0]])
    right, unsure, wrong = (
        float(loss(y, np.array([p]))) for p in ([0.02, 0.96, 0.02], [0.3, 0.4, 0.3], [0.96, 0.02, 0.02])
    )
    assert right < unsure < wrong


@pytest.mark.parametrize("part", LOSSES, ids=lambda part: part.name)
def test_weights_are_tabulated_where_they_are_taken(part):
    assert part.spec.weighted == (part.spec.tabulate is not None)
    if part.spec.weighted:
        weights = part.spec.tabulate(REQUEST)
        assert len(weights) == 3
        assert weights[0] < weights[1] < weights[2]


@pytest.mark.parametrize("part", LOSSES, ids=lambda part: part.name)
def test_default_options_are_accepted(part):
    request = LossRequest(class_counts=(3, 2, 1), class_names=("a", "b", "c"), options=part.spec.options)
    assert (
        part.spec.build(request).get_config()
        == part.spec.build(LossRequest(class_counts=(3, 2, 1), class_names=("a", "b", "c"))).get_config()
    )
