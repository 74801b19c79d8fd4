"""The two sides that are compared, and the two links over which they reach Redis."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.servers.redis import RedisServer


@dataclass(frozen=True)
class Link:
    """A way to the Redis server: `address` is `host:port`; a slow one has a delay in it."""

    name: str
    address: str
    slow: bool = False

    @classmethod
    def direct(cls, redis: RedisServer) -> "Link":
        """The loopback interface alone."""
        return cls("loopback", f"127.0.0.1:{redis.port}")


@dataclass(frozen=True)
class Side:
    """A broker on a database of its own; `broker` may refer to the link's `{address}`."""

    name: str
    broker: str
    database: int

    def env(self, link: Link, slots: Path) -> dict[str, str]:
        """Return the environment of this side's processes."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "CQ_BENCH_BROKER": self.broker.format(address=link.address),
            "CQ_BENCH_LAYER": f"redis://{link.address}/{self.database}",
            "CQ_BENCH_SLOTS": str(slots),
        }


STOCK = Side("redis://", "redis://{address}/0", 0)
CHANNELS = Side("channels://", "channels://", 1)
SIDES = (STOCK, CHANNELS)
