"""Configuration files of TensorFlow Serving, written from what a server is asked to serve."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from skinzoo.serving import tls as tls_config
from skinzoo.serving.batching import Batching, text_of
from skinzoo.serving.folders import ModelSource
from skinzoo.serving.rest.options import METRICS_PATH

MODELS = PurePosixPath("/models")
"""Where TensorFlow Serving's container image looks for models."""


def batching_for(*, gpu: bool) -> Batching:
    """Return how TensorFlow Serving joins requests to batches for exports of skinzoo.

    On a CPU a batch uses every core, and the next one fills meanwhile. On a GPU batches have few sizes, since
    each new one is prepared anew, wait two milliseconds for more, and two are under way, so that one decodes
    its images while the other one is in the network.

    Args:
        gpu: Whether there is a GPU.
    """
    if not gpu:
        return Batching(
            num_batch_threads=1,
            max_enqueued_batches=64,
            enable_large_batch_splitting=True,
            max_execution_batch_size=32,
        )
    return Batching(
        num_batch_threads=2,
        batch_timeout_micros=2000,
        max_enqueued_batches=64,
        enable_large_batch_splitting=True,
        max_execution_batch_size=64,
        allowed_batch_sizes=(1, 2, 4, 8, 16, 32, 64),
    )


def models_text(sources: Sequence[ModelSource], *, in_container: bool = False) -> str:
    """Return a text proto of ModelServerConfig.

    Args:
        sources: The models.
        in_container: Whether each lies in `/models/NAME` instead of where it lies here.
    """
    config = model_server_config_pb2.ModelServerConfig()
    for source in sources:
        base = MODELS / source.name if in_container else source.base_path
        model = config.model_config_list.config.add(
            name=source.name, base_path=str(base), model_platform="tensorflow"
        )
        policy = model.model_version_policy
        if source.policy.specific:
            policy.specific.versions.extend(source.policy.specific)
        elif source.policy.latest is None:
            policy.all.SetInParent()
        elif source.policy.latest != 1:
            policy.latest.num_versions = source.policy.latest
        for label, version in source.labels.items():
            model.version_labels[label] = version
    return text_format.MessageToString(config)


def monitoring_text(path: str = METRICS_PATH) -> str:
    """Return a text proto of MonitoringConfig that switches Prometheus on."""
    return f'prometheus_config {{\n  enable: true\n  path: "{path}"\n}}\n'


def write_files(
    folder: Path,
    sources: Sequence[ModelSource],
    *,
    batching: Batching | None,
    monitoring: bool,
    tls: tls_config.Tls | None,
    in_container: bool = False,
) -> dict[str, Path]:
    """Write the files that a server needs.

    Args:
        folder: Where to; nobody else can read it.
        sources: The models.
        batching: How requests are joined to batches; None for not at all.
        monitoring: Whether Prometheus is served.
        tls: Key and certificates; None for plain connections.
        in_container: Whether models lie in `/models/NAME`.

    Returns:
        TensorFlow Serving's flag to the file.
    """
    texts = {"model_config_file": ("models.config", models_text(sources, in_container=in_container))}
    if batching is not None:
        texts["batching_parameters_file"] = ("batching.config", text_of(batching))
    if monitoring:
        texts["monitoring_config_file"] = ("monitoring.config", monitoring_text())
    if tls is not None:
        texts["ssl_config_file"] = ("ssl.config", tls_config.text_of(tls))
    found = {}
    for flag, (name, text) in texts.items():
        found[flag] = folder / name
        # The private key is among them.
        handle = os.open(found[flag], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    return found
