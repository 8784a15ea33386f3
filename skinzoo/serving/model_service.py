"""TensorFlow Serving's ModelService."""

from __future__ import annotations

from typing import Any

import grpc
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2, model_service_pb2_grpc

from skinzoo.errors import SkinzooError
from skinzoo.serving.config import sources_of
from skinzoo.serving.models import Models, status_of
from skinzoo.serving.prediction_service import version_choice
from skinzoo.serving.rpc import answering
from skinzoo.serving.status import RpcError, invalid_argument

SERVICE_NAME = "tensorflow.serving.ModelService"


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Tells how models stand, and changes which there are.

    Args:
        models: What is served.
    """

    def __init__(self, models: Models) -> None:
        self._models = models

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Tell the state of one version, or of all of a model; a label is not looked at."""
        with answering(context):
            if not request.HasField("model_spec"):
                raise invalid_argument("Missing ModelSpec")
            version = version_choice(request.model_spec).get("version")
            response = get_model_status_pb2.GetModelStatusResponse()
            for found in self._models.statuses(request.model_spec.name, version):
                status = response.model_version_status.add(version=found.version, state=int(found.state))
                _write(status.status, status_of(found.error) if found.error else None)
            return response

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Replace the whole configuration; answers when its models are available."""
        with answering(context):
            response = model_management_pb2.ReloadConfigResponse()
            try:
                self._models.apply(sources_of(request.config))
            except SkinzooError as error:
                raise status_of(error) from error
            _write(response.status, None)
            return response


def _write(status: Any, failure: RpcError | None) -> None:
    if failure is not None:
        status.error_code = failure.number
        status.error_message = failure.message
    else:
        status.error_code = 0
