"""SavedModels that skinzoo did not make."""

import tensorflow as tf


class Halves(tf.Module):
    """Three signatures: x / 2 + offset over tensors, and regression and classification over tf.Example."""

    def __init__(self, offset=2.0):
        super().__init__()
        self.half = tf.Variable(0.5)
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    def predict(self, x):
        return {"y": x * self.half + self.offset, "twice": x * 2.0}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def regress(self, inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature((1,), tf.float32)})["x"]
        return {"outputs": x * self.half + self.offset}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def classify(self, inputs):
        x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature((1,), tf.float32)})["x"]
        scores = tf.concat([x, x * self.half + self.offset], axis=1)
        labels = tf.tile([["as it is", "halved"]], (tf.shape(x)[0], 1))
        return {"classes": labels, "scores": scores}


def save_halves(folder, offset=2.0):
    """Write the model into a version folder."""
    module = Halves(offset)
    tf.saved_model.save(
        module,
        str(folder),
        signatures={
            "serving_default": module.predict,
            "regress_x_to_y": module.regress,
            "classify_x_to_y": module.classify,
        },
    )
    return folder


class Odd(tf.Module):
    """Signatures with inner shapes that are not fixed, and outputs of shapes and types that do not do."""

    @tf.function(input_signature=[tf.TensorSpec((None, None), tf.float32, name="x")])
    def ragged(self, x):
        return {"sum": tf.reduce_sum(x, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    def scalar(self, x):
        return {"total": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32, name="x")])
    def slow(self, x):
        # Minutes on no machine, and more than a moment on any; it depends on x, or it would be folded away.
        nothing = tf.linalg.expm(tf.fill((700, 700), 0.0 * x[0]))
        return {"y": x + 0.0 * tf.reduce_sum(nothing)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def pairs(self, inputs):
        return {"outputs": tf.zeros((tf.shape(inputs)[0], 2))}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def whole(self, inputs):
        return {"outputs": tf.zeros((tf.shape(inputs)[0], 1), tf.int32)}


def save_odd(folder):
    """Write the model into a version folder."""
    module = Odd()
    tf.saved_model.save(
        module,
        str(folder),
        signatures={
            "serving_default": module.ragged,
            "scalar": module.scalar,
            "slow": module.slow,
            "pairs": module.pairs,
            "whole": module.whole,
        },
    )
    return folder
