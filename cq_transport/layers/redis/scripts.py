"""The scripts that run inside Redis, each one atomic and one round trip."""

from __future__ import annotations

from hashlib import sha1
from importlib.resources import files


class Script:
    """A Lua script and the name by which Redis remembers it."""

    def __init__(self, name: str) -> None:
        self.source = files(__package__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
        self.sha = sha1(self.source.encode(), usedforsecurity=False).hexdigest()


SEND = Script("send")
ROUTE = Script("route")
POP = Script("pop")
RESTORE = Script("restore")
LEASE = Script("lease")
ALL = (SEND, ROUTE, POP, RESTORE, LEASE)
