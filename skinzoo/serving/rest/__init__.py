"""TensorFlow Serving's REST interface, over the same models and batches as gRPC."""
