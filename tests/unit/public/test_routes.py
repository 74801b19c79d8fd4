"""Messages find queues by bindings in one process, and by groups across processes."""

from __future__ import annotations

import pytest

from cq_transport.layers.base import Delivery
from cq_transport.layers.public.namespace import Namespace
from cq_transport.layers.public.routes import GroupRoutes, LocalRoutes, Way
from cq_transport.layers.public.stamps import fresh
from cq_transport.naming import group_name
from cq_transport.topology import Binding

TYPES = {"mails": "direct", "news": "topic", "calls": "fanout"}
BINDINGS = [
    Binding("mails", "out", "outbox"),
    Binding("news", "sport.*", "fans"),
    Binding("calls", "", "phone"),
]


@pytest.fixture
def namespace() -> Namespace:
    namespace = Namespace()
    namespace.topology.exchanges.update(TYPES)
    for binding in BINDINGS:
        namespace.topology.bind(binding)
    return namespace


@pytest.fixture
def local(namespace: Namespace) -> LocalRoutes:
    return LocalRoutes(namespace)


@pytest.fixture
def groups(namespace: Namespace) -> GroupRoutes:
    return GroupRoutes("app", namespace)


def delivery(queue: str, exchange: str, routing_key: str) -> Delivery:
    return Delivery(queue, 0, fresh(0, (exchange, routing_key)))


@pytest.mark.parametrize(
    ("exchange", "routing_key", "queues"),
    [("mails", "out", ["outbox"]), ("news", "sport.chess", ["fans"]), ("calls", "x", ["phone"])],
)
def test_local_ways(local: LocalRoutes, exchange: str, routing_key: str, queues: list[str]) -> None:
    assert local.way(exchange, routing_key) == Way(queues, [])


@pytest.mark.parametrize(
    ("exchange", "routing_key"), [("mails", "in"), ("news", "weather"), ("unknown", "out")]
)
def test_locally_the_unroutable_is_known(
    local: LocalRoutes, exchange: str, routing_key: str
) -> None:
    assert local.way(exchange, routing_key) is None


def test_local_bindings_need_no_groups(local: LocalRoutes) -> None:
    assert {local.group_of(binding) for binding in BINDINGS} == {None}


def test_groups_of_bindings(groups: GroupRoutes) -> None:
    assert [groups.group_of(binding) for binding in BINDINGS] == [
        group_name("app", "mails", "out"),
        group_name("app", "news"),
        group_name("app", "calls"),
    ]


def test_known_bindings_of_a_direct_exchange_are_followed(groups: GroupRoutes) -> None:
    assert groups.way("mails", "out") == Way(["outbox"], [])


def test_others_bindings_of_a_direct_exchange_are_a_group(groups: GroupRoutes) -> None:
    assert groups.way("mails", "in") == Way([], [group_name("app", "mails", "in")])


@pytest.mark.parametrize("exchange", ["news", "calls"])
def test_topics_and_fanouts_are_a_group(groups: GroupRoutes, exchange: str) -> None:
    assert groups.way(exchange, "any") == Way([], [group_name("app", exchange)])


def test_an_exchange_declared_elsewhere_may_be_of_any_type(groups: GroupRoutes) -> None:
    assert groups.way("unknown", "key") == Way(
        [], [group_name("app", "unknown", "key"), group_name("app", "unknown")]
    )


@pytest.mark.parametrize("binding", BINDINGS, ids=lambda binding: binding.exchange)
def test_the_way_leads_to_the_group_of_its_binding(groups: GroupRoutes, binding: Binding) -> None:
    stranger = GroupRoutes("app", Namespace())
    key = binding.routing_key.replace("*", "chess")
    way = stranger.way(binding.exchange, key)

    assert way is not None and groups.group_of(binding) in way.groups


def test_readers_drop_what_their_topics_do_not_match(groups: GroupRoutes) -> None:
    assert groups.concerns(delivery("fans", "news", "sport.chess"))
    assert not groups.concerns(delivery("fans", "news", "weather"))


def test_readers_keep_what_they_cannot_judge(groups: GroupRoutes) -> None:
    assert groups.concerns(Delivery("fans", 0, fresh(0))), "it was not routed"
    assert groups.concerns(delivery("outbox", "news", "weather")), "another process bound it"
    assert groups.concerns(Delivery("fans", 0, b"foreign"))
