"""How models stand, as TensorFlow Serving tells it."""

from __future__ import annotations

from tensorflow_serving.apis import get_model_status_pb2

from skinzoo.serving.models import Models, status_of


def model_status(
    models: Models, name: str, version: int | None = None
) -> get_model_status_pb2.GetModelStatusResponse:
    """Return the states of a model's versions.

    Args:
        models: What is served.
        name: Name of the model.
        version: The only version to tell of; None for all.

    Raises:
        RpcError: There is no such model or version.
    """
    response = get_model_status_pb2.GetModelStatusResponse()
    for found in models.statuses(name, version):
        status = response.model_version_status.add(version=found.version, state=int(found.state)).status
        # Also where there is no failure: otherwise the field would be absent.
        status.error_code = 0
        if found.error is not None:
            failure = status_of(found.error)
            status.error_code, status.error_message = failure.number, failure.message
    return response
