"""Run by test_loss_jax.py in a process of its own with KERAS_BACKEND=jax; prints JSON."""

import json
import sys

import jax
import keras
import loss_reference as reference
import numpy as np
from skinzoo_zoo.losses.multi_weighted_loss import LossSchedule, MultiWeightedLoss

from skinzoo.registry import registry
from skinzoo.specs import LossRequest

LOGITS, P, INDEX, Y = reference.cases()
REQUEST = LossRequest(class_counts=reference.HAM10000, class_names=reference.CLASSES)


def value_and_gradient(loss, y, logits):
    def value(logits):
        return loss(jax.numpy.asarray(y, "float32"), jax.nn.softmax(logits))

    result, gradient = jax.jit(jax.value_and_grad(value))(jax.numpy.asarray(logits, "float32"))
    return float(result), np.asarray(gradient).tolist()


class Scale(keras.layers.Layer):
    """Hands probabilities through, with a weight that has a gradient."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs):
        return inputs * self.scale


def scheduled_losses():
    model = keras.Sequential([keras.Input((7,)), Scale()])
    weights = np.array(reference.HAM10000) ** -1.1
    model.compile(keras.optimizers.SGD(0.0), MultiWeightedLoss(weights, start_epoch=1, end_epoch=3))
    history = model.fit(
        P,
        Y,
        batch_size=len(Y),
        epochs=5,
        validation_data=(P, Y),
        callbacks=[LossSchedule()],
        verbose=0,
        shuffle=False,
    )
    return history.history


losses = {part.name: part.spec.build(REQUEST) for part in registry().parts("loss")}
json.dump(
    {
        "backend": keras.backend.backend(),
        "values": {name: value_and_gradient(loss, Y, LOGITS) for name, loss in losses.items()},
        "hard": {
            name: value_and_gradient(loss, np.eye(7), 300 * np.roll(np.eye(7), 1, axis=1))
            for name, loss in losses.items()
        },
        "schedule": scheduled_losses(),
    },
    sys.stdout,
)
