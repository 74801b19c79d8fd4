"""Connections to the broker that is compared, each test in a namespace of its own."""

import itertools
import os
from typing import Any

from kombu import Connection

BROKER = os.environ["TEST_BROKER"]
SCHEME = BROKER.partition(":")[0]
_numbers = itertools.count(1)


def connect(*before: str, **options: Any) -> Connection:
    """Return a connection, not open yet; the URLs `before` are tried first."""
    space = f"case{next(_numbers)}"
    if SCHEME == "channels":
        live = f"channels://default/{space}"
    else:
        live, options = BROKER, {"global_keyprefix": f"{space}:", **options}
    return Connection(";".join([*before, live]), transport_options=options)


def unreachable() -> Connection:
    """Return a connection to a broker that does not answer."""
    return Connection(unreachable_url())


def unreachable_url() -> str:
    """Return the URL of a broker that does not answer."""
    return "channels://gone" if SCHEME == "channels" else "redis://127.0.0.1:1/0"
