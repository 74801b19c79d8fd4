"""Names: valid for Channels, reversible by eye, and never the same for two queues."""

from __future__ import annotations

import pytest
from channels.layers import BaseChannelLayer
from hypothesis import given
from hypothesis import strategies as st

from cq_transport.naming import MAX_NAME_LENGTH, channel_name, group_name, namespace_name

pytestmark = pytest.mark.unit

layer = BaseChannelLayer()
# Channels before 4.2 has only the older names.
valid_channel = getattr(layer, "require_valid_channel_name", None) or layer.valid_channel_name
valid_group = getattr(layer, "require_valid_group_name", None) or layer.valid_group_name
names = st.text(max_size=300)
queues = st.tuples(names, names, st.integers(0, 9))


def test_plain_names_stay_readable() -> None:
    assert channel_name("", "celery") == "cq.default.celery"
    assert channel_name("shop", "mail.fast", 3) == "cq.shop.mail.fast_p3"
    assert channel_name("", "celery@host.celery.pidbox") == "cq.default.celery_40host.celery.pidbox"


@given(names, names, st.integers(0, 9))
def test_channels_accepts_every_name(namespace: str, queue: str, priority: int) -> None:
    name = channel_name(namespace, queue, priority)
    assert len(name) <= MAX_NAME_LENGTH
    if queue:
        assert valid_channel(name)


@given(names, names, names)
def test_channels_accepts_every_group(namespace: str, exchange: str, routing_key: str) -> None:
    assert valid_group(group_name(namespace, exchange, routing_key))
    assert valid_group(group_name(namespace, exchange))


@given(queues, queues)
def test_two_queues_never_share_a_channel(
    one: tuple[str, str, int], two: tuple[str, str, int]
) -> None:
    def identity(queue: tuple[str, str, int]) -> tuple[str, str, int]:
        return (queue[0] or "default", *queue[1:])

    assert (channel_name(*one) == channel_name(*two)) == (identity(one) == identity(two))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("a_40b", "a@b"),
        ("q_p3", "q"),
        ("Queue", "queue"),
        ("x" * 300 + "a", "x" * 300 + "b"),
        ("ä", "a\u0308"),
    ],
)
def test_names_that_look_alike_differ(one: str, two: str) -> None:
    found = {channel_name("", queue, priority) for queue in (one, two) for priority in (0, 3)}
    assert len(found) == 4


def test_a_namespace_holds_no_dot() -> None:
    assert "." not in namespace_name("a.b")
    assert channel_name("a.b", "c") != channel_name("a", "b.c")
