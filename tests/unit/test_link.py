"""How connections to the hosts of a Redis layer are made."""

from __future__ import annotations

import pytest

from cq_transport.layers.redis.link import connection_factory

pytestmark = pytest.mark.unit

HOSTS = [
    {"address": "redis://127.0.0.1:1/0?max_connections=5"},
    {"host": "127.0.0.1", "port": 1},
    {"master_name": "main", "sentinels": [("127.0.0.1", 1)]},
]


@pytest.mark.parametrize("host", HOSTS, ids=["url", "host", "sentinel"])
def test_any_number_of_connections_can_be_made_one_after_another(host: dict[str, object]) -> None:
    make = connection_factory(host, timeout=1.0)
    for _ in range(1000):
        make().disconnect()
