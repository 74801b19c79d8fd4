"""The links of a benchmark, and how long a round trip over each takes."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from benchmarks.sides import Link
from tests.servers.proxy import Proxy
from tests.servers.redis import RedisServer

PINGS = 1000


def round_trip(link: Link) -> float:
    """Return the median time of a PING in seconds."""
    host, _, port = link.address.rpartition(":")
    times = []
    with redis.Redis(host=host, port=int(port)) as client:
        for _ in range(PINGS):
            begin = time.perf_counter()
            client.ping()
            times.append(time.perf_counter() - begin)
    return statistics.median(times)


@contextmanager
def slow_link(server: RedisServer, seconds: float) -> Iterator[Link]:
    """Give a link whose round trip takes `seconds` longer than the direct one.

    The proxy's own work takes time too, so its delay is set by what a first measurement shows.
    """
    direct = round_trip(Link.direct(server))
    with Proxy.round_trip(server.socket, seconds) as proxy:
        link = Link(f"+{seconds * 1000:g} ms", proxy.address, slow=True)
        excess = round_trip(link) - direct - seconds
        proxy.set_delay(max(0.0, (seconds - excess) / 2))
        yield link
