"""The losses on Keras' JAX backend give what they give on TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import loss_reference as reference
import numpy as np
import pytest
import tensorflow as tf
from skinzoo_zoo.losses.multi_weighted_loss import MultiWeightedLoss

from skinzoo.registry import registry
from skinzoo.specs import LossRequest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")

HERE = Path(__file__).resolve().parent
LOGITS, P, _, Y = reference.cases()
NAMES = registry().names("loss")


@pytest.fixture(scope="module")
def on_jax():
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, str(HERE / "loss_on_jax.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_it_ran_on_jax(on_jax):
    assert on_jax["backend"] == "jax"


@pytest.mark.parametrize("name", NAMES)
def test_same_value_and_gradient(on_jax, name):
    request = LossRequest(class_counts=reference.HAM10000, class_names=reference.CLASSES)
    loss = registry().part("loss", name).spec.build(request)
    logits = tf.constant(LOGITS, "float32")
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(tf.constant(Y, "float32"), tf.nn.softmax(logits))
    jax_value, jax_gradient = on_jax["values"][name]
    assert jax_value == pytest.approx(float(value), rel=1e-5)
    np.testing.assert_allclose(jax_gradient, tape.gradient(value, logits).numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_hard_cases_are_finite(on_jax, name):
    value, gradient = on_jax["hard"][name]
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_the_schedule_reaches_the_compiled_steps(on_jax):
    loss = MultiWeightedLoss(np.array(reference.HAM10000) ** -1.1, start_epoch=1, end_epoch=3)
    expected = []
    for epoch in range(5):
        loss.set_epoch(epoch)
        expected.append(float(loss(Y, P)))
    np.testing.assert_allclose(on_jax["schedule"]["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(on_jax["schedule"]["val_loss"], expected, rtol=1e-5)
