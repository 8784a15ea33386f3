"""TensorFlow Serving's model configuration, from a file or a reload request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from skinzoo.errors import UsageError
from skinzoo.serving.folders import ModelSource, Policy

_HINT = 'A model looks like this: config { name: "m" base_path: "/models/m" model_platform: "tensorflow" }'
_PLATFORM = "tensorflow"


def read_config(path: Path) -> list[ModelSource]:
    """Read a model configuration file.

    Raises:
        UsageError: It cannot be read, or holds what cannot be honoured.
    """
    return parse_config(read_text(path), path)


def read_text(path: Path) -> str:
    """Return the text of a model configuration file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`--model-config-file` must be readable. Received: {error}.") from error


def parse_config(text: str, path: Path) -> list[ModelSource]:
    """Return the models in the text of a configuration file; see `read_config`."""
    return sources_of(parse_proto(text, path))


def parse_proto(text: str, path: Path) -> model_server_config_pb2.ModelServerConfig:
    """Return the text of a configuration file as a message.

    Raises:
        UsageError: It is none.
    """
    config = model_server_config_pb2.ModelServerConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise UsageError(
            f"`--model-config-file` must be a text proto of ModelServerConfig. Received: '{path}', {error}.",
            hint=_HINT,
        ) from error
    return config


def sources_of(config: model_server_config_pb2.ModelServerConfig) -> list[ModelSource]:
    """Return the models of a configuration.

    Raises:
        UsageError: It is no list of models, or one of them cannot be honoured.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise UsageError(
            "A model configuration must hold a model_config_list, the only type that is supported. "
            f"Received: {config.WhichOneof('config') or 'nothing'}.",
            hint=_HINT,
        )
    found: dict[str, ModelSource] = {}
    for model in config.model_config_list.config:
        source = _source(model)
        if source.name in found:
            raise UsageError(f"Illegal to list model {source.name} multiple times in config list.")
        found[source.name] = source
    return list(found.values())


def _source(model: Any) -> ModelSource:
    if not model.name:
        raise UsageError("Every model of a configuration must have a name. Received: one without.")
    base = Path(model.base_path)
    if not base.is_absolute():
        raise UsageError(
            f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
        )
    if model.model_platform not in ("", _PLATFORM):
        raise UsageError(
            f'`model_platform` must be "{_PLATFORM}". Received: "{model.model_platform}" for {model.name}.'
        )
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    chosen = Policy()
    if choice == "all":
        chosen = Policy(latest=None)
    elif choice == "specific":
        if not policy.specific.versions:
            raise UsageError(
                f"The specific version policy of {model.name} must name versions. Received: none."
            )
        chosen = Policy(specific=tuple(sorted(set(policy.specific.versions))))
    elif choice == "latest":
        chosen = Policy(latest=policy.latest.num_versions or 1)
    return ModelSource(name=model.name, base_path=base, policy=chosen, labels=dict(model.version_labels))
