"""TensorFlow Serving's PredictionService."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from tensorflow_serving.apis import model_pb2, prediction_service_pb2_grpc

from skinzoo.serving import inference
from skinzoo.serving.models import Models
from skinzoo.serving.rpc import answering, time_left
from skinzoo.serving.servable import Servable
from skinzoo.serving.status import invalid_argument

SERVICE_NAME = "tensorflow.serving.PredictionService"


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Answers with any SavedModel.

    Args:
        models: What is served.
        as_content: Answer Predict with `tensor_content` instead of typed fields.
    """

    def __init__(self, models: Models, *, as_content: bool = False) -> None:
        self._models = models
        self._as_content = as_content

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run a signature on tensors."""
        with answering(context), self._use(request) as servable:
            return inference.predict(
                servable, request, timeout=time_left(context), as_content=self._as_content
            )

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Classify examples."""
        with answering(context), self._use(request) as servable:
            return inference.classify(servable, request, timeout=time_left(context))

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Regress over examples."""
        with answering(context), self._use(request) as servable:
            return inference.regress(servable, request, timeout=time_left(context))

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Run several tasks on the same examples."""
        with answering(context):
            inference.check_tasks(request)
            with self._use(request.tasks[0]) as servable:
                return inference.multi_inference(servable, request, timeout=time_left(context))

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Describe the signatures of a model."""
        with answering(context):
            if not request.HasField("model_spec"):
                raise invalid_argument("Missing ModelSpec")
            inference.check_metadata_fields(request)
            with self._use(request) as servable:
                return inference.metadata(servable)

    @contextmanager
    def _use(self, request: Any) -> Iterator[Servable]:
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec: ModelSpec has no name specified.")
        with self._models.use(request.model_spec.name, **version_choice(request.model_spec)) as servable:
            yield servable


def version_choice(spec: model_pb2.ModelSpec) -> dict[str, Any]:
    """Return the version or label that a request asks for, as keywords of `Models.use`."""
    choice = spec.WhichOneof("version_choice")
    if choice == "version":
        return {"version": spec.version.value}
    return {"label": spec.version_label} if choice == "version_label" else {}
