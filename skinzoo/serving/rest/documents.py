"""JSON bodies, and what is said about values in them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from skinzoo.serving.status import RpcError, invalid_argument

_SIGNATURE_NAME, _BASE64 = "signature_name", "b64"
# Characters of a value that an error shows.
_SHOWN = 200
_TYPES = {type(None): "Null", dict: "Object", list: "Array", str: "String", int: "Number", float: "Number"}


def parse(body: bytes) -> dict[str, Any]:
    """Return the object in a body; NaN and Infinity are numbers in it.

    Raises:
        RpcError: It is no JSON, or no object.
    """
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except json.JSONDecodeError as error:
        raise invalid_argument(f"JSON Parse error: {error.msg} at offset: {error.pos}") from error
    except (ValueError, RecursionError) as error:
        # Bytes that are no UTF-8, a number of thousands of digits, lists in thousands of lists.
        raise invalid_argument(f"JSON Parse error: {type(error).__name__}") from error
    if not isinstance(document, dict):
        raise malformed(document, "Is not object")
    return document


def signature_of(document: dict[str, Any]) -> str:
    """Return the name of the signature that a document asks for; empty for the default one.

    Raises:
        RpcError: It is no string.
    """
    name = document.get(_SIGNATURE_NAME, "")
    if not isinstance(name, str):
        raise malformed(document, "not formatted correctly. 'signature_name' key must be a string value.")
    return name


def is_base64(value: Any) -> bool:
    """Return whether a value stands for bytes: an object with the one key `b64`."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(_BASE64), str)


def to_bytes(value: Any) -> bytes:
    """Return the bytes that a string, or an object with the key `b64`, stands for.

    Raises:
        RpcError: It is neither, or no base64.
    """
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise malformed(value, "is no text that UTF-8 can spell") from error
    if not is_base64(value):
        raise malformed(value, "not formatted correctly for base64 data")
    text = value[_BASE64]
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        # Padding may be left out, and lines may be broken.
        text = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument("Unable to base64 decode") from error


def type_name(value: Any) -> str:
    """Return what JSON calls the type of a value."""
    return str(value) if isinstance(value, bool) else _TYPES[type(value)]


def malformed(value: Any, why: str) -> RpcError:
    """Return the error for a value that is not what it should be."""
    return invalid_argument(f"JSON Value: {shown(value)} {why}")


def shown(value: Any) -> str:
    """Return the beginning of a value as JSON."""
    # A part of the value is enough, where the whole may be an image.
    text = json.dumps(_beginning(value))
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _beginning(value: Any) -> Any:
    if isinstance(value, str):
        return value[: _SHOWN + 1]
    if isinstance(value, list):
        return [_beginning(one) for one in value[:_SHOWN]]
    if isinstance(value, dict):
        return {key: _beginning(one) for key, one in list(value.items())[:_SHOWN]}
    return value
