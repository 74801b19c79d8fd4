"""Routing rules and declarations."""

from __future__ import annotations

import pytest

from cq_transport.topology import DEFAULT_LEASE, Binding, Queue, Topology, matches

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("pattern", "routing_key", "expected"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("a.#", "a", True),
        ("a.#", "a.b.c", True),
        ("a.#", "ab", False),
        ("#", "", True),
        ("#", "a.b", True),
        ("#.z", "z", True),
        ("#.z", "x.y.z", True),
        ("*.stock.#", "usd.stock", True),
        ("*.stock.#", "stock", False),
        ("a+b.*", "a+b.c", True),
        ("a+b", "aab", False),
    ],
)
def test_topic_patterns(pattern: str, routing_key: str, expected: bool) -> None:
    assert matches("topic", pattern, routing_key) is expected


def test_direct_and_fanout() -> None:
    assert matches("direct", "a.*", "a.*")
    assert not matches("direct", "a.*", "a.b")
    assert matches("fanout", "a", "anything")


def test_queue_arguments_are_milliseconds() -> None:
    queue = Queue.declared(
        "q", auto_delete=False, arguments={"x-expires": 90_000, "x-message-ttl": 1_500}
    )
    assert (queue.lease, queue.message_ttl, queue.is_transient) == (90.0, 1.5, True)


def test_short_expiries_are_no_shorter_than_the_shortest_lease() -> None:
    arguments = {"x-expires": 10_000}  # as Celery declares the workers' queues of commands
    assert Queue.declared("q", auto_delete=True, arguments=arguments).lease == DEFAULT_LEASE
    assert Queue.declared("q", auto_delete=True, arguments=arguments, lease=7.0).lease == 10.0


def test_auto_delete_queues_have_a_lease() -> None:
    assert Queue.declared("q", auto_delete=True, arguments=None).lease == DEFAULT_LEASE
    assert not Queue.declared("q", auto_delete=False, arguments={}).is_transient


def test_a_forgotten_queue_has_no_bindings() -> None:
    topology = Topology()
    binding = Binding("exchange", "key", "queue")
    topology.bind(binding)
    topology.bind(Binding("exchange", "key", "other"))
    topology.forget("queue")
    assert topology.bindings_of("queue") == frozenset()
    assert [found.queue for found in topology.bindings()] == ["other"]
