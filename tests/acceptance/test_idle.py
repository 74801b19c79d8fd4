"""What a worker without work asks of Redis."""

from pathlib import Path

from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until

WAITS = 6  # blocking pops to see: each of the worker's two readers ends one every 5 s


def calls(server: RedisServer) -> dict[str, int]:
    """Return how often each command was called; those inside scripts count as well."""
    found = server.info("commandstats").items()
    return {name.removeprefix("cmdstat_"): stats["calls"] for name, stats in found}


def test_idle_worker_sleeps_in_redis(tmp_path: Path, own_redis: RedisServer) -> None:
    project = Project.on_redis(tmp_path, own_redis)
    with project.worker("-c", "2"):
        wait_until(lambda: calls(own_redis).get("bzpopmin", 0) >= 2, 20, "the worker to be idle")
        own_redis.run("CONFIG", "RESETSTAT")
        wait_until(lambda: calls(own_redis).get("bzpopmin", 0) >= WAITS, 60, "the waits", 0.5)
        asked = calls(own_redis)

    # Heartbeats every two seconds, leases every five, one look at the queues behind each wait.
    assert asked["evalsha"] <= 12 * WAITS
    assert asked.get("zpopmin", 0) <= 40 * WAITS
