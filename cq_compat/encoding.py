"""Results as text, encoded as Celery's ``result_serializer`` says."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

from kombu.serialization import dumps, loads

#: Stands before the content type of what is binary, and base64 in the column.
_BASE64 = "base64:"


def encode_text(value: Any, serializer: str) -> tuple[str, str]:
    """Return a value as text and its content type, which the serializer alone decides.

    Raises:
        kombu.exceptions.EncodeError: the serializer cannot encode it.
    """
    content_type, encoding, payload = dumps(value, serializer=serializer)
    if encoding == "binary":
        return b64encode(payload).decode("ascii"), _BASE64 + content_type
    return payload.decode(encoding) if isinstance(payload, bytes) else payload, content_type


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
    return loads(text, content_type, "utf-8", accept=accept)


def storable(text: Any) -> str:
    """Return a text that is for people without the characters that no database keeps."""
    return str(text).replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")
