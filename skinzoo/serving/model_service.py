"""TensorFlow Serving's ModelService."""

from __future__ import annotations

from typing import Any

import grpc
from tensorflow_serving.apis import model_management_pb2, model_service_pb2_grpc

from skinzoo.errors import SkinzooError
from skinzoo.serving.bases import Bases
from skinzoo.serving.config import sources_of
from skinzoo.serving.model_status import model_status
from skinzoo.serving.models import Models, status_of
from skinzoo.serving.prediction_service import version_choice
from skinzoo.serving.rpc import answering
from skinzoo.serving.status import invalid_argument

SERVICE_NAME = "tensorflow.serving.ModelService"


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Tells how models stand, and changes which there are.

    Args:
        models: What is served.
        bases: Where callers may have models loaded from; None for anywhere.
    """

    def __init__(self, models: Models, bases: Bases | None = None) -> None:
        self._models = models
        self._bases = bases

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Tell the state of one version, or of all of a model; a label is not looked at."""
        with answering(context):
            if not request.HasField("model_spec"):
                raise invalid_argument("Missing ModelSpec")
            version = version_choice(request.model_spec).get("version")
            return model_status(self._models, request.model_spec.name, version)

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Replace the whole configuration; answers when its models are available."""
        with answering(context):
            response = model_management_pb2.ReloadConfigResponse()
            try:
                sources = sources_of(request.config)
                if self._bases is not None:
                    self._bases.check(sources)
                self._models.apply(sources)
            except SkinzooError as error:
                raise status_of(error) from error
            response.status.error_code = 0
            return response
