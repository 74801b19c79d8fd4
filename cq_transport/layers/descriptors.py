"""Waiting for one descriptor."""

from __future__ import annotations

import select


def is_ready(
    fd: int, timeout: float | None, *, reading: bool = True, writing: bool = False
) -> bool:
    """Wait up to ``timeout`` seconds until ``fd`` can be read or written, or its end has come."""
    # Looked up at each call: under gevent and eventlet the module's functions are cooperative ones.
    seconds = None if timeout is None else max(0.0, timeout)
    if not hasattr(select, "poll"):  # Windows, and eventlet
        return any(select.select([fd] if reading else [], [fd] if writing else [], [], seconds))
    poller = select.poll()
    poller.register(fd, (select.POLLIN if reading else 0) | (select.POLLOUT if writing else 0))
    return bool(poller.poll(None if seconds is None else seconds * 1000))
