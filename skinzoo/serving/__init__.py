"""The server in the box: TensorFlow Serving's services over any SavedModel, and the typed service."""
