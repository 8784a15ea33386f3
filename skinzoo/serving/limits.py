"""What one request may ask for, and the look at image headers before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np

from skinzoo.data.images import MAX_PIXELS, TooManyPixelsError, inspect_bytes
from skinzoo.errors import DataError, UsageError
from skinzoo.export.names import EXAMPLES, IMAGE_BYTES
from skinzoo.serving.status import RpcError, invalid_argument

# TensorFlow's own words, which clients may look for.
_UNKNOWN = "Unknown image file format. One of JPEG, PNG, GIF, BMP required."


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request may ask for.

    Args:
        cases: Most cases in a request.
        image_bytes: Most bytes of an image file.
        pixels: Most pixels of an image.
        batch: Most cases that are run together.
        in_flight: Most cases of a stream that are under way at a time.
        decode: Decode every image while it is checked; for an engine that fails a whole batch for one image.

    Raises:
        UsageError: One of them is below 1.
    """

    cases: int = 4096
    image_bytes: int = 64 << 20
    pixels: int = MAX_PIXELS
    batch: int = 32
    in_flight: int = 16
    decode: bool = False

    def __post_init__(self) -> None:
        for name in ("cases", "image_bytes", "pixels", "batch", "in_flight"):
            if getattr(self, name) < 1:
                raise UsageError(f"`{name}` must be at least 1. Received: {getattr(self, name)}.")


def check_images(inputs: Mapping[str, Any], limits: Limits) -> None:
    """Check the image files among the inputs of an export before its graph decodes them.

    Decoding allocates what a header asks for: a few kilobytes can ask for gigabytes. A file whose header
    cannot be read here is refused too, as nobody knows what it asks for.

    Args:
        inputs: Input name to values: files themselves, or serialised `tf.train.Example` that hold them.
        limits: Bytes and pixels of an image.

    Raises:
        RpcError: RESOURCE_EXHAUSTED for an image that is too large, INVALID_ARGUMENT for one that is none.
    """
    files: Iterable[Any] = ()
    if IMAGE_BYTES in inputs:
        files = np.asarray(inputs[IMAGE_BYTES], object).ravel()
    elif EXAMPLES in inputs:
        files = _files_in(np.asarray(inputs[EXAMPLES], object).ravel())
    for file in files:
        if isinstance(file, bytes):
            _check(file, limits)


def _check(file: bytes, limits: Limits) -> None:
    if len(file) > limits.image_bytes:
        raise _too_large(f"An image must have at most {limits.image_bytes:,} bytes. Received: {len(file):,}.")
    try:
        inspect_bytes(file, max_pixels=limits.pixels)
    except TooManyPixelsError as error:
        raise _too_large(error.message) from error
    except DataError as error:
        raise invalid_argument(f"{_UNKNOWN} {error.message}") from error


def _files_in(examples: Iterable[Any]) -> Iterable[bytes]:
    from google.protobuf.message import DecodeError
    from tensorflow.core.example.example_pb2 import Example

    for serialised in examples:
        try:
            example = Example.FromString(serialised)
        except (DecodeError, TypeError) as error:
            raise invalid_argument("Could not parse example input.") from error
        if IMAGE_BYTES in example.features.feature:
            yield from example.features.feature[IMAGE_BYTES].bytes_list.value


def _too_large(message: str) -> RpcError:
    return RpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)
