"""TensorFlow Serving's monitoring configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from skinzoo.errors import UsageError
from skinzoo.serving.rest.options import METRICS_PATH

_PACKAGE = "skinzoo.serving"


def read_monitoring(path: Path) -> str | None:
    """Read a monitoring configuration file, a text proto as TensorFlow Serving takes it.

    Returns:
        Path of the Prometheus page; None where it is not enabled.

    Raises:
        UsageError: It cannot be read, or holds what cannot be honoured.
    """
    config = _message_class()()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), config)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`--monitoring-config-file` must be readable. Received: {error}.") from error
    except text_format.ParseError as error:
        raise UsageError(
            "`--monitoring-config-file` must be a text proto of MonitoringConfig. "
            f"Received: '{path}', {error}.",
            hint=f'It looks like this: prometheus_config {{ enable: true path: "{METRICS_PATH}" }}',
        ) from error
    if not config.prometheus_config.enable:
        return None
    page: str = config.prometheus_config.path or METRICS_PATH
    if not page.startswith("/"):
        raise UsageError(f"`path` of the prometheus_config must begin with '/'. Received: '{page}'.")
    return page


def _message_class() -> Any:
    # tensorflow-serving-api does not ship these messages, so they are described here.
    kind = descriptor_pb2.FieldDescriptorProto
    optional = kind.LABEL_OPTIONAL
    prometheus = descriptor_pb2.DescriptorProto(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=kind.TYPE_BOOL, label=optional)
    prometheus.field.add(name="path", number=2, type=kind.TYPE_STRING, label=optional)
    monitoring = descriptor_pb2.DescriptorProto(name="MonitoringConfig")
    monitoring.field.add(
        name="prometheus_config",
        number=1,
        type=kind.TYPE_MESSAGE,
        type_name=f".{_PACKAGE}.PrometheusConfig",
        label=optional,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(
        descriptor_pb2.FileDescriptorProto(
            name="skinzoo/monitoring.proto",
            package=_PACKAGE,
            syntax="proto3",
            message_type=[prometheus, monitoring],
        ).SerializeToString()
    )
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.MonitoringConfig"))
