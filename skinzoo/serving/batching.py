"""How requests are joined to batches: TensorFlow Serving's batching parameters."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2

from skinzoo.errors import UsageError

PER_MODEL_FILE = "batching_params.pbtxt"
"""Where TensorFlow Serving looks for a version's own parameters, in its folder."""
MOST_WAITING_IMAGES = 2048
"""For exports, unless told otherwise."""
_INTEGER = ".google.protobuf.Int64Value"
# tensorflow-serving-api does not ship this message, so it is described here.
_FIELDS = {
    "max_batch_size": _INTEGER,
    "batch_timeout_micros": _INTEGER,
    "max_enqueued_batches": _INTEGER,
    "num_batch_threads": _INTEGER,
    "max_execution_batch_size": _INTEGER,
    "thread_pool_name": ".google.protobuf.StringValue",
    "enable_large_batch_splitting": ".google.protobuf.BoolValue",
}


@dataclass(frozen=True, kw_only=True)
class Batching:
    """Batching parameters; the defaults are TensorFlow Serving's.

    Args:
        max_batch_size: Most rows of one request.
        batch_timeout_micros: How long a batch waits for more, in microseconds; 0 for not at all.
        max_enqueued_batches: Batches that may wait; above it requests are refused.
        num_batch_threads: Batches that run at the same time.
        allowed_batch_sizes: Sizes that batches are padded to, ascending; any size where empty.
        pad_variable_length_inputs: Accept requests of different inner shapes at the same time. They run in
            batches of their own, so nothing is padded and no answer depends on its neighbours.
        enable_large_batch_splitting: Split requests that are larger than a batch.
        max_execution_batch_size: Most rows of one batch where requests are split.

    Raises:
        UsageError: They contradict each other.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            _at_least(name, getattr(self, name), 1)
        _at_least("batch_timeout_micros", self.batch_timeout_micros, 0)
        limit, name = self.max_batch_size, "max_batch_size"
        if self.max_execution_batch_size is not None:
            _at_least("max_execution_batch_size", self.max_execution_batch_size, 1)
            if not self.enable_large_batch_splitting:
                raise UsageError(
                    "`max_execution_batch_size` must come with `enable_large_batch_splitting`. "
                    "Received: it without splitting."
                )
            if self.max_execution_batch_size > self.max_batch_size:
                raise UsageError(
                    "`max_execution_batch_size` must be at most `max_batch_size`. "
                    f"Received: {self.max_execution_batch_size} > {self.max_batch_size}."
                )
            limit, name = self.max_execution_batch_size, "max_execution_batch_size"
        sizes = self.allowed_batch_sizes
        if sizes and (sizes[0] < 1 or any(b <= a for a, b in itertools.pairwise(sizes))):
            raise UsageError(
                f"`allowed_batch_sizes` must be positive and strictly increasing. Received: {list(sizes)}."
            )
        if sizes and sizes[-1] != limit:
            raise UsageError(
                f"The last of `allowed_batch_sizes` must equal `{name}`, {limit}. Received: {sizes[-1]}."
            )

    @property
    def execution_sizes(self) -> Sequence[int]:
        """Return the sizes of batches for TensorFlow's op, which takes the limit of a batch from them."""
        if self.allowed_batch_sizes or self.max_execution_batch_size is None:
            return self.allowed_batch_sizes
        return range(1, self.max_execution_batch_size + 1)


def for_exports(streams: int = 1) -> Batching:
    """Return what exports of skinzoo are batched with unless told otherwise.

    Further requests gather while a batch runs, and large requests are split, so that nobody's images wait
    behind a thousand of another caller's.

    Args:
        streams: Batches that run at the same time. A single one has every core, and up to 32 images; where
            each has cores of its own, up to 8 images, so that one request is shared among them.
    """
    size = 32 if streams == 1 else 8
    return Batching(
        num_batch_threads=streams,
        max_enqueued_batches=MOST_WAITING_IMAGES // size,
        enable_large_batch_splitting=True,
        max_execution_batch_size=size,
    )


def read_batching(path: Path, what: str = "--batching-parameters-file") -> Batching:
    """Read a batching parameters file, a text proto as TensorFlow Serving takes it.

    Args:
        path: The file.
        what: What it is called in errors.

    Raises:
        UsageError: It cannot be read, or holds what cannot be honoured.
    """
    message = _message_class()()
    try:
        text_format.Parse(path.read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{what}` must be readable. Received: {error}.") from error
    except text_format.ParseError as error:
        raise UsageError(
            f"`{what}` must be a text proto of BatchingParameters. Received: '{path}', {error}.",
            hint="A line looks like this: max_batch_size { value: 32 }",
        ) from error
    given: dict[str, Any] = {
        name: getattr(message, name).value
        for name in _FIELDS
        if name != "thread_pool_name" and message.HasField(name)
    }
    return Batching(
        **given,
        allowed_batch_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length_inputs=message.pad_variable_length_inputs,
    )


def text_of(batching: Batching) -> str:
    """Return batching parameters as a text proto, as `read_batching` reads it."""
    message = _message_class()()
    for name in _FIELDS:
        value = getattr(batching, name, None)
        if value is not None and value is not False:
            getattr(message, name).value = value
    message.allowed_batch_sizes.extend(batching.allowed_batch_sizes)
    message.pad_variable_length_inputs = batching.pad_variable_length_inputs
    return text_format.MessageToString(message)


def _message_class() -> Any:
    kind = descriptor_pb2.FieldDescriptorProto
    message = descriptor_pb2.DescriptorProto(name="BatchingParameters")
    for number, (name, type_name) in enumerate(_FIELDS.items(), start=1):
        message.field.add(
            name=name, number=number, type=kind.TYPE_MESSAGE, type_name=type_name, label=kind.LABEL_OPTIONAL
        )
    message.field.add(name="allowed_batch_sizes", number=20, type=kind.TYPE_INT64, label=kind.LABEL_REPEATED)
    message.field.add(
        name="pad_variable_length_inputs", number=21, type=kind.TYPE_BOOL, label=kind.LABEL_OPTIONAL
    )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(
        descriptor_pb2.FileDescriptorProto(
            name="skinzoo/batching_parameters.proto",
            package="skinzoo.serving",
            syntax="proto3",
            dependency=[wrappers_pb2.DESCRIPTOR.name],
            message_type=[message],
        ).SerializeToString()
    )
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("skinzoo.serving.BatchingParameters"))


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise UsageError(f"`{name}` must be at least {least}. Received: {value}.")
