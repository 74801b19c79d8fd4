"""Results as text, encoded as Celery's ``result_serializer`` says."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from kombu.serialization import dumps, loads

_BASE64 = "base64:"


def encode_text(value: Any, serializer: str) -> tuple[str, str]:
    """Return a value as text and its content type; binary forms are base64."""
    content_type, _, payload = dumps(value, serializer=serializer)
    if not isinstance(payload, bytes):
        return payload, content_type
    try:
        return payload.decode("utf-8"), content_type
    except UnicodeDecodeError:
        return b64encode(payload).decode("ascii"), _BASE64 + content_type


def decode_text(text: str | None, content_type: str, accept: Any) -> Any:
    """Return the value that ``encode_text`` wrote.

    Args:
        accept: the content types that may be decoded, as kombu has prepared them.

    Raises:
        kombu.exceptions.ContentDisallowed: ``accept`` forbids its content type.
    """
    if text is None or not content_type:
        return None
    if content_type.startswith(_BASE64):
        return loads(b64decode(text), content_type[len(_BASE64) :], "binary", accept=accept)
    return loads(text.encode("utf-8", "surrogatepass"), content_type, "utf-8", accept=accept)
