"""The sentinel of the tests."""

from tests.servers.sentinel import Sentinel


def test_failover_promotes_the_replica() -> None:
    with Sentinel(password="secret") as sentinel:
        first = sentinel.master
        first.run("SET", "key", "value")
        first.run("WAIT", 1, 10_000)
        sentinel.failover()
        assert sentinel.master is not first
        assert sentinel.master.run("GET", "key") == b"value"
