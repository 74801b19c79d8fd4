"""A kombu message as a channel layer message, and back.

A layer that packs with msgpack (the default) takes headers and bodies as they are. What it refuses
(dates or UUIDs in headers, bytes under a JSON serializer, integers over 64 bits) travels in the
portable form: headers and properties as one JSON text of kombu's, bytes as base64.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any, TypeVar

from kombu.utils.json import dumps, loads

from cq_transport.errors import UndecodableMessage

Envelope = dict[str, Any]
T = TypeVar("T")

#: The ``type`` of the layer message, by which a stock consumer can tell it apart.
MESSAGE_TYPE = "cq.message"
REDELIVERED = "redelivered"

_PLAIN = frozenset((str, bytes, int, float, bool, type(None)))


def seal(message: dict[str, Any]) -> Envelope:
    """Turn what ``Channel.prepare_message`` made into a layer message."""
    return {"type": MESSAGE_TYPE, **message}


def pack(envelope: Envelope, serialize: Callable[[Envelope], T]) -> T:
    """Serialize ``envelope`` as it is, or in the portable form where the serializer refuses it."""
    if _is_plain(envelope["headers"]) and _is_plain(envelope["properties"]):
        try:
            return serialize(envelope)
        except (TypeError, ValueError, OverflowError):
            pass
    return serialize(_portable(envelope))


def to_text(envelope: Envelope) -> str:
    """Return an envelope as JSON text, from which ``from_text`` makes an equal one."""
    text: str = dumps(_portable(envelope))
    return text


def from_text(text: str) -> Envelope:
    """Read what ``to_text`` wrote.

    Raises:
        UndecodableMessage: it is something else.
    """
    try:
        message = loads(text)
    except ValueError as exc:
        raise UndecodableMessage(str(exc)) from exc
    return unpack(message)


def unpack(message: Any) -> Envelope:
    """Check and complete a message that was found on a queue's channel.

    Raises:
        UndecodableMessage: it is not one of this transport's.
    """
    try:
        if message["type"] != MESSAGE_TYPE:
            raise UndecodableMessage(f"a layer message of type {message['type']!r}")
        if "meta" in message:
            message.update(loads(message.pop("meta")))
        if message.pop("body64", False):
            message["body"] = b64decode(message["body"])
        _check_parts(message["headers"], message["properties"])
        message.setdefault("body", None)
        envelope: Envelope = message
        return envelope
    except UndecodableMessage:
        raise
    except Exception as exc:
        raise UndecodableMessage(f"{type(exc).__name__}: {exc}") from exc


def _check_parts(headers: Any, properties: Any) -> None:
    if not (isinstance(headers, dict) and isinstance(properties, dict)):
        raise UndecodableMessage("headers or properties are no mapping")
    if not isinstance(properties.get("delivery_info", {}), dict):
        raise UndecodableMessage("the delivery information is no mapping")
    float(properties.get("expiration") or 0)


def _is_plain(mapping: dict[Any, Any]) -> bool:
    # msgpack packs integer keys but refuses to unpack them: those take the portable form too.
    for key, value in mapping.items():
        if type(key) is not str:
            return False
        if type(value) not in _PLAIN and not _is_plain_container(value):
            return False
    return True


def _is_plain_container(value: Any) -> bool:
    if isinstance(value, dict):
        return _is_plain(value)
    if isinstance(value, (list, tuple)):
        return all(type(item) in _PLAIN or _is_plain_container(item) for item in value)
    return False


def _portable(envelope: Envelope) -> Envelope:
    meta = {key: value for key, value in envelope.items() if key not in ("type", "body")}
    body, encoded = envelope["body"], isinstance(envelope["body"], (bytes, bytearray, memoryview))
    return {
        "type": MESSAGE_TYPE,
        "meta": dumps(meta),
        "body": b64encode(body).decode("ascii") if encoded else body,
        "body64": encoded,
    }
