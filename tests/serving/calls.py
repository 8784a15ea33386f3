"""Requests made with TensorFlow Serving's stubs alone, as any client makes them."""

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

SECONDS = 120


def spec(name="", version=None, label=None, signature=""):
    found = model_pb2.ModelSpec(name=name, signature_name=signature)
    if version is not None:
        found.version.value = version
    if label is not None:
        found.version_label = label
    return found


def predict(model, inputs, outputs=()):
    request = predict_pb2.PredictRequest(model_spec=model, output_filter=outputs)
    for name, value in inputs.items():
        proto = value if isinstance(value, TensorProto) else tf.make_tensor_proto(value)
        request.inputs[name].CopyFrom(proto)
    return request


def example(x):
    return tf.train.Example(
        features=tf.train.Features(feature={"x": tf.train.Feature(float_list=tf.train.FloatList(value=[x]))})
    )


def examples(*values):
    return input_pb2.Input(example_list=input_pb2.ExampleList(examples=[example(x) for x in values]))


def classify(model, given):
    return classification_pb2.ClassificationRequest(model_spec=model, input=given)


def regress(model, given):
    return regression_pb2.RegressionRequest(model_spec=model, input=given)


def multi(tasks, given):
    return inference_pb2.MultiInferenceRequest(
        tasks=[
            inference_pb2.InferenceTask(model_spec=model, method_name=f"tensorflow/serving/{method}")
            for model, method in tasks
        ],
        input=given,
    )


def metadata(model, *fields):
    return get_model_metadata_pb2.GetModelMetadataRequest(model_spec=model, metadata_field=fields)


def status(model=None):
    return get_model_status_pb2.GetModelStatusRequest(model_spec=model)


class Stubs:
    """Both services of a server."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def call(self, name, request, timeout=SECONDS):
        owner = self.model if hasattr(self.model, name) else self.prediction
        return getattr(owner, name)(request, timeout=timeout)

    def failure(self, name, request, timeout=SECONDS):
        """Return code and text of a call that must fail."""
        try:
            answer = self.call(name, request, timeout)
        except grpc.RpcError as error:
            return error.code(), error.details()
        raise AssertionError(f"{name} answered {answer}")

    def run(self, model, inputs, outputs=()):
        """Return the outputs of a Predict call as arrays."""
        found = self.call("Predict", predict(model, inputs, outputs)).outputs
        return {name: np.array(tf.make_ndarray(value)) for name, value in found.items()}
