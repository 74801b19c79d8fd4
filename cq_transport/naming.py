"""Names of queues, exchanges and bindings as channel and group names.

Channels allows only ASCII letters, digits, ``-``, ``_`` and ``.`` and fewer than 100 characters.
Names in Celery have no such limits, so every other character is written as ``_`` and the two
hexadecimal digits of each of its UTF-8 bytes; a name that gets too long keeps its beginning and
ends in ``_h`` and a digest. ``_`` is thus always followed by upper-case hexadecimal digits, or by a
lower-case letter that marks a part we add: no two names collide.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

#: The longest name that Channels accepts (``BaseChannelLayer.MAX_NAME_LENGTH`` is exclusive).
MAX_NAME_LENGTH = 99
#: The namespace that a broker URL without one means.
DEFAULT_NAMESPACE = "default"

_PREFIX = "cq"
_NAMESPACE_LENGTH = 24
_QUEUE_LENGTH = MAX_NAME_LENGTH - len(f"{_PREFIX}.{'n' * _NAMESPACE_LENGTH}._p9")
_EXCHANGE_LENGTH = 32
_KEY_LENGTH = _QUEUE_LENGTH - _EXCHANGE_LENGTH - len("_x_k")
_DIGEST_LENGTH = 20
_UNSAFE = re.compile(rb"[^A-Za-z0-9.\-]")
_UNSAFE_IN_NAMESPACE = re.compile(rb"[^A-Za-z0-9\-]")


def _escape(name: str, limit: int, unsafe: re.Pattern[bytes] = _UNSAFE) -> str:
    raw = name.encode("utf-8", "surrogatepass")
    escaped = unsafe.sub(lambda match: b"_%02X" % match[0][0], raw).decode("ascii")
    if len(escaped) <= limit:
        return escaped
    digest = sha256(raw).hexdigest()[:_DIGEST_LENGTH]
    return f"{escaped[: limit - len(digest) - 2]}_h{digest}"


@lru_cache(maxsize=64)
def namespace_name(namespace: str) -> str:
    """Return the part of every name that keeps one Celery application apart from the others."""
    return _escape(namespace or DEFAULT_NAMESPACE, _NAMESPACE_LENGTH, _UNSAFE_IN_NAMESPACE)


@lru_cache(maxsize=4096)
def channel_name(namespace: str, queue: str, priority: int = 0) -> str:
    """Return the channel that holds the messages of ``queue`` with ``priority`` (0 to 9)."""
    suffix = f"_p{priority}" if priority else ""
    return f"{_PREFIX}.{namespace_name(namespace)}.{_escape(queue, _QUEUE_LENGTH)}{suffix}"


@lru_cache(maxsize=1024)
def group_name(namespace: str, exchange: str, routing_key: str | None = None) -> str:
    """Return the group of the queues bound to ``exchange``, or only to ``routing_key``."""
    name = f"{_PREFIX}.{namespace_name(namespace)}._x{_escape(exchange, _EXCHANGE_LENGTH)}"
    return name if routing_key is None else f"{name}_k{_escape(routing_key, _KEY_LENGTH)}"
