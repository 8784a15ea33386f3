"""Moving a label to another version in two steps, so that its callers never meet a version that is not there.

First the configuration serves both versions, and the server has loaded the new one; then the label moves. It
speaks TensorFlow Serving's interface alone, so it works with the real server as with ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2_grpc,
)
from tensorflow_serving.config import model_server_config_pb2 as config_pb2

from skinzoo.errors import ServingError, UsageError, did_you_mean
from skinzoo.files import write_text
from skinzoo.serving.config import parse_proto, read_text, sources_of
from skinzoo.serving.folders import versions_in

_AVAILABLE, _END = 30, 50
_LOOK = 0.2


def previous_label(label: str) -> str:
    """Return the label that holds the version which `label` was moved from."""
    return f"{label}-previous"


class Remote:
    """A running server, ours or TensorFlow Serving.

    Args:
        channel: The connection.
        metadata: What goes with every request.
        timeout: Seconds that a version may take to load.
    """

    def __init__(
        self, channel: grpc.Channel, *, metadata: Sequence[tuple[str, str]] = (), timeout: float = 300.0
    ) -> None:
        self._models = model_service_pb2_grpc.ModelServiceStub(channel)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        self._metadata = tuple(metadata)
        self._timeout = timeout

    def reload(self, config: Any) -> None:
        """Replace the server's configuration.

        Raises:
            ServingError: It did not take it.
        """
        request = model_management_pb2.ReloadConfigRequest(config=config)
        status = self._call(self._models.HandleReloadConfigRequest, request).status
        if status.error_code:
            raise ServingError(f"The server must take the configuration. Received: {status.error_message}.")

    def wait_until_available(self, name: str, version: int) -> None:
        """Return when a version answers.

        Raises:
            ServingError: It failed to load, or takes too long.
        """
        until = time.monotonic() + self._timeout
        while True:
            state, error = self._state(name, version)
            if state == _AVAILABLE:
                return
            if error or state == _END:
                raise ServingError(f"{name} version {version} must load. Received: {error or 'its end'}.")
            if time.monotonic() > until:
                raise ServingError(
                    f"{name} version {version} must be available within {self._timeout:g} s. "
                    "Received: it is still not.",
                    hint="Give it more time with --timeout.",
                )
            time.sleep(_LOOK)

    def labelled(self, name: str, label: str) -> int:
        """Return the version that a label stands for.

        Raises:
            ServingError: There is no such label.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name, request.model_spec.version_label = name, label
        found = self._call(self._prediction.GetModelMetadata, request)
        return int(found.model_spec.version.value)

    def _state(self, name: str, version: int) -> tuple[int, str]:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name, request.model_spec.version.value = name, version
        try:
            found = self._call(self._models.GetModelStatus, request).model_version_status
        except _AbsentError:
            return 0, ""
        return found[0].state, found[0].status.error_message if found[0].status.error_code else ""

    def _call(self, method: Any, request: Any) -> Any:
        try:
            return method(request, timeout=self._timeout, metadata=self._metadata)
        except grpc.RpcError as error:
            kind = _AbsentError if error.code() is grpc.StatusCode.NOT_FOUND else ServingError
            raise kind(
                f"The server must do what it is asked. Received: {error.code().name}, {error.details()}.",
            ) from error


class _AbsentError(ServingError):
    """The server does not know the model or the version."""


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What to move.

    Args:
        model: Name of the model.
        version: The version that the label is to stand for; None for the one that it was moved from.
        label: The label.
        file: The configuration file.
        server: The server that reads this file, where it is to be told; it is asked whether versions answer.
        step: Called with each step, in words.
    """

    model: str
    version: int | None
    label: str
    file: Path
    server: Remote | None = None
    step: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True, kw_only=True)
class Promoted:
    """What was done.

    Args:
        before: The version that the label stood for; None where it is new.
        now: The version that it stands for.
        complete: Whether the label has moved; if not, the configuration only serves both versions now.
    """

    before: int | None
    now: int
    complete: bool


def promote(promotion: Promotion) -> Promoted:
    """Move a label in two steps.

    Without a server nobody can tell when the new version answers: the first call makes the configuration
    serve both versions, and one more call moves the label.

    Args:
        promotion: What to move.

    Returns:
        What was done.

    Raises:
        UsageError: The file cannot be used, or has no such model or earlier version.
        ServingError: The version does not load, or the server cannot be asked. Where it does not load, file
            and server have the configuration of before.
    """
    original = read_text(promotion.file)
    config = parse_proto(original, promotion.file)
    sources_of(config)
    model = _model(config, promotion)
    before = model.version_labels.get(promotion.label)
    version = promotion.version if promotion.version is not None else _previous(model, promotion)
    if version == before:
        return Promoted(before=before, now=version, complete=True)
    _check_folder(model, version)
    if _serve_both(model, version, before):
        promotion.step(f"Step 1 of 2: {promotion.model} serves version {version} beside the others.")
        _put(config, original, promotion)
        if promotion.server is None:
            return Promoted(before=before, now=version, complete=False)
    if promotion.server is not None:
        _load(config, original, promotion, version)
    promotion.step(f"Step 2 of 2: '{promotion.label}' moves to version {version}.")
    _move(model, promotion.label, version, before)
    _put(config, original, promotion)
    if promotion.server is not None:
        promotion.server.reload(config)
        found = promotion.server.labelled(promotion.model, promotion.label)
        if found != version:
            raise ServingError(
                f"'{promotion.label}' must stand for version {version} now. Received: version {found}.",
                hint="Another configuration was loaded meanwhile; do it again.",
            )
    return Promoted(before=before, now=version, complete=True)


def _model(config: Any, promotion: Promotion) -> Any:
    models = {one.name: one for one in config.model_config_list.config}
    if promotion.model not in models:
        raise UsageError(
            f"The model must be one of {', '.join(models) or 'none'} in '{promotion.file}'. "
            f"Received: '{promotion.model}'.",
            hint=did_you_mean(promotion.model, models),
        )
    return models[promotion.model]


def _previous(model: Any, promotion: Promotion) -> int:
    found = model.version_labels.get(previous_label(promotion.label))
    if found is None:
        raise UsageError(
            f"'{promotion.label}' of {promotion.model} must have been moved before. "
            f"Received: no label '{previous_label(promotion.label)}' in '{promotion.file}'.",
            hint="Name the version with: skinzoo promote MODEL VERSION",
        )
    return int(found)


def _check_folder(model: Any, version: int) -> None:
    """Check that there is the version, where its folder can be seen from here."""
    versions = versions_in(Path(model.base_path))
    if versions and version not in versions:
        raise UsageError(
            f"The version of {model.name} must be one of {', '.join(map(str, sorted(versions)))} in "
            f"'{model.base_path}'. Received: {version}."
        )


def _serve_both(model: Any, version: int, before: int | None) -> bool:
    """Make a configuration serve a version besides those that it serves; return whether it did not yet."""
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all" or (choice == "specific" and version in policy.specific.versions):
        return False
    if choice == "specific":
        served = set(policy.specific.versions)
    else:
        # From now on what is served is said, or the next version would push out what a label stands for.
        newest = policy.latest.num_versions or 1
        served = set(sorted(versions_in(Path(model.base_path)))[-newest:]) | set(
            model.version_labels.values()
        )
    policy.specific.versions[:] = sorted({*served, version} | ({before} if before is not None else set()))
    return True


def _load(config: Any, original: str, promotion: Promotion, version: int) -> None:
    assert promotion.server is not None
    try:
        promotion.server.reload(config)
        promotion.server.wait_until_available(promotion.model, version)
    except ServingError:
        # What was there before goes on.
        _write(promotion.file, original)
        promotion.step("The configuration of before is put back.")
        promotion.server.reload(parse_proto(original, promotion.file))
        raise


def _move(model: Any, label: str, version: int, before: int | None) -> None:
    labels, spare = model.version_labels, previous_label(label)
    left = labels.get(spare)
    labels[label] = version
    if before is not None:
        labels[spare] = before
    policy = model.model_version_policy
    if left is not None and left not in labels.values() and policy.WhichOneof("policy_choice") == "specific":
        # It was only kept to go back to.
        policy.specific.versions[:] = [one for one in policy.specific.versions if one != left]


def _put(config: config_pb2.ModelServerConfig, original: str, promotion: Promotion) -> None:
    """Write the configuration, with the comments that the file begins with."""
    head = []
    for line in original.splitlines(keepends=True):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        head.append(line)
    _write(promotion.file, "".join(head) + text_format.MessageToString(config))


def _write(path: Path, text: str) -> None:
    try:
        # What a link points to is written, not the link.
        write_text(path.resolve(), text)
    except OSError as error:
        raise UsageError(f"`--model-config-file` must be writable. Received: {error}.") from error
