"""The sides that are compared, and the links over which they reach Redis."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """A broker on a Redis database of its own, and what is kept of its tasks.

    `broker` may refer to the link's `{address}`; `database` is the number of that database;
    `backend` is Celery's result backend, empty for none; `rows` tells whether each task is a row
    before it is sent; `ended` counts, in SQL, the tasks of which success is stored.
    """

    name: str
    broker: str
    database: int
    backend: str = ""
    rows: bool = False
    ended: str = ""

    def env(
        self, link: Link, slots: Path, database: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """Return the environment of this side's processes; `database` as in `DATABASES`."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
            "CQ_BENCH_BROKER": self.broker.format(address=link.address),
            "CQ_BENCH_LAYER": f"redis://{link.address}/{self.database}",
            "CQ_BENCH_BACKEND": self.backend,
            "CQ_BENCH_ROWS": "1" if self.rows else "",
            "CQ_BENCH_DATABASE": json.dumps(database) if database else "",
            "CQ_BENCH_SLOTS": str(slots),
        }


STOCK = Side("redis://", "redis://{address}/0", 0)
CHANNELS = Side("channels://", "channels://", 1)
DURABLE = Side(
    "channels:// with rows",
    "channels://",
    2,
    backend="cq",
    rows=True,
    ended="SELECT count(*) FROM cq_task WHERE state = 'SUCCESS'",
)
STORED = Side(
    "redis:// with django-celery-results",
    "redis://{address}/3",
    3,
    backend="django-db",
    ended="SELECT count(*) FROM django_celery_results_taskresult WHERE status = 'SUCCESS'",
)
