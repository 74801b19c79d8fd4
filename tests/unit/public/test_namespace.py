"""Declarations are shared within a process, and transient queues end."""

from __future__ import annotations

import pytest
from channels.layers import InMemoryChannelLayer

from cq_transport.layers.public.namespace import Namespace, namespace_of
from cq_transport.topology import Binding, Queue
from tests.servers.forks import answer_of
from tests.servers.waiting import wait_until

SHORT = 0.01  # seconds


def declared(*queues: Queue) -> Namespace:
    namespace = Namespace()
    for queue in queues:
        namespace.topology.queues[queue.name] = queue
        namespace.renew(queue.name)
    return namespace


def test_a_layer_and_a_name_have_one_namespace() -> None:
    layer, other = InMemoryChannelLayer(), InMemoryChannelLayer()
    found = namespace_of(layer, "app")

    assert namespace_of(layer, "app") is found
    assert namespace_of(layer, "another") is not found
    assert namespace_of(other, "app") is not found


def test_a_transient_queue_ends() -> None:
    namespace = declared(Queue("brief", lease=SHORT), Queue("long", lease=3600), Queue("stays"))

    assert wait_until(namespace.ended) == ["brief"]


def test_a_renewed_lease_goes_on() -> None:
    namespace = declared(Queue("brief", lease=SHORT))
    wait_until(namespace.ended)
    namespace.topology.queues["brief"] = Queue("brief", lease=3600)
    namespace.renew("brief")

    assert namespace.ended() == []


def test_a_forgotten_queue_is_forgotten() -> None:
    namespace = declared(Queue("brief", lease=SHORT))
    namespace.topology.bind(Binding("exchange", "key", "brief"))
    wait_until(namespace.ended)
    namespace.forget("brief")

    assert namespace.ended() == []
    assert list(namespace.topology.bindings()) == []


def test_a_child_leaves_the_queues_to_its_parent() -> None:
    namespace = declared(Queue("brief", lease=SHORT))
    wait_until(namespace.ended)

    assert answer_of(lambda: len(namespace.ended())) == 0
    assert namespace.ended() == ["brief"]


@pytest.mark.parametrize(
    ("exchange_type", "key", "expected"),
    [("direct", "a.b", {"one"}), ("topic", "a.b", {"one", "two"}), ("fanout", "z", {"one", "two"})],
)
def test_matching(exchange_type: str, key: str, expected: set[str]) -> None:
    namespace = Namespace()
    for binding in (
        Binding("exchange", "a.b", "one"),
        Binding("exchange", "#.b", "one"),
        Binding("exchange", "a.*", "two"),
        Binding("another", "a.b", "three"),
    ):
        namespace.topology.bind(binding)
    found = namespace.matching("exchange", exchange_type, key)

    assert set(found) == expected
    assert len(found) == len(expected), "each once"


def test_transient_queues_have_a_limit_of_their_own() -> None:
    namespace = declared(Queue("brief", lease=60), Queue("stays"))

    assert [namespace.limit_of(name, 7) for name in ("brief", "stays", "unknown")] == [7, 0, 0]
