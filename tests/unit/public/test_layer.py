"""Any layer is a broker: its errors are translated, and its queues end only where that is known."""

from __future__ import annotations

from typing import Any

import pytest
from channels.layers import BaseChannelLayer, InMemoryChannelLayer

from cq_transport.envelope import seal
from cq_transport.errors import LayerFull, LayerMisconfigured, LayerUnreachable, TransportError
from cq_transport.layers.base import Delivery
from cq_transport.layers.public.layer import PublicTaskLayer
from cq_transport.options import Options
from cq_transport.topology import Binding, Queue
from tests.servers.waiting import wait_until

QUICK = Options(full_timeout=0.0)
BRIEF = Queue("brief", lease=0.01)


class Groupless(BaseChannelLayer):  # type: ignore[misc]
    """A layer of its own kind that keeps its messages in memory."""

    def __init__(self, capacity: int = 100) -> None:
        super().__init__(capacity=capacity)
        self.inner = InMemoryChannelLayer(capacity=capacity)

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        await self.inner.send(channel, message)

    async def receive(self, channel: str) -> Any:
        return await self.inner.receive(channel)


class Layer(Groupless):
    """Such a layer with groups."""

    async def group_add(self, group: str, channel: str) -> None:
        await self.inner.group_add(group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        await self.inner.group_discard(group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self.inner.group_send(group, message)


class TextOnly(Layer):
    """A layer that packs no bytes, as one that writes JSON."""

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        if any(isinstance(value, bytes) for value in message.values()):
            raise TypeError("bytes are not JSON serializable")
        await super().send(channel, message)


class Broken(Layer):
    """A layer whose server is gone."""

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        raise OSError("connection refused")

    group_send = send


def task_layer(layer: BaseChannelLayer, options: Options = QUICK) -> PublicTaskLayer:
    return PublicTaskLayer(layer, "app", options)


def envelope(body: Any = "body", **headers: Any) -> dict[str, Any]:
    parts = {"content-type": "text/plain", "content-encoding": "utf-8"}
    return seal({"body": body, "headers": headers, "properties": {"priority": 4}, **parts})


def got(layer: PublicTaskLayer, queue: str = "queue") -> tuple[Delivery, dict[str, Any]]:
    delivery = layer.get(queue)
    assert delivery is not None
    return delivery, layer.decode(delivery)


def test_a_layer_without_groups_is_refused() -> None:
    with pytest.raises(LayerMisconfigured, match="Groupless has no groups"):
        task_layer(Groupless()).connect()


def test_a_layer_that_is_gone_is_unreachable() -> None:
    layer = task_layer(Broken())

    with pytest.raises(LayerUnreachable, match="connection refused"):
        layer.connect()
    with pytest.raises(LayerUnreachable, match="connection refused"):
        layer.send("queue", 0, envelope())


def test_a_full_queue_names_the_setting() -> None:
    layer = task_layer(Layer(capacity=1))
    layer.send("queue", 0, envelope())

    with pytest.raises(LayerFull, match=r"Layer is reached.*'capacity'"):
        layer.send("queue", 0, envelope())


@pytest.mark.parametrize("kind", [Layer, TextOnly, InMemoryChannelLayer])
def test_a_message_comes_back_as_it_was(kind: type[BaseChannelLayer]) -> None:
    layer = task_layer(kind())
    layer.send("queue", 4, envelope(b"\x00\xff", name="value"))

    delivery, found = got(layer)

    assert delivery.priority == 4
    assert (found["body"], found["headers"]) == (b"\x00\xff", {"name": "value"})


@pytest.mark.parametrize("kind", [Layer, TextOnly, InMemoryChannelLayer])
def test_a_message_that_is_put_back_keeps_priority_and_age(kind: type[BaseChannelLayer]) -> None:
    layer = task_layer(kind())
    layer.send("queue", 4, envelope(b"\x00"))
    delivery, found = got(layer)
    layer.restore(delivery, {**found, "redelivered": True})

    again, changed = got(layer)

    assert changed["redelivered"] is True
    assert (changed["body"], again.priority) == (b"\x00", 4)
    assert changed["sent_at"] == found["sent_at"]


def test_a_message_that_no_form_suits_is_refused() -> None:
    class Refusing(Layer):
        async def send(self, channel: str, message: dict[str, Any]) -> None:
            raise ValueError("never")

    with pytest.raises(TransportError, match="refuses the message: never"):
        task_layer(Refusing()).send("queue", 0, envelope())


@pytest.mark.parametrize("kind", [Layer, InMemoryChannelLayer])
def test_connections_with_other_options_share_declarations(kind: type[BaseChannelLayer]) -> None:
    layer = kind()
    one, other = task_layer(layer), task_layer(layer, Options(full_timeout=0.1))
    one.declare_exchange("news", "topic")
    one.declare_queue(Queue("queue"))
    one.bind(Binding("news", "sport.*", "queue"))
    other.route("news", "sport.chess", 0, envelope("match"))

    assert other.has_queue("queue")
    assert got(one)[1]["body"] == "match"


@pytest.mark.parametrize("kind", [Layer, InMemoryChannelLayer])
def test_an_unbound_queue_gets_nothing(kind: type[BaseChannelLayer]) -> None:
    layer = task_layer(kind())
    layer.declare_exchange("news", "topic")
    for pattern in ("sport.*", "weather"):
        layer.bind(Binding("news", pattern, "queue"))
    layer.unbind(Binding("news", "sport.*", "queue"))
    layer.route("news", "sport.chess", 0, envelope("sport"))
    layer.route("news", "weather", 0, envelope("weather"))

    assert got(layer)[1]["body"] == "weather"
    assert layer.get("queue") is None


def test_a_transient_queue_of_this_process_ends() -> None:
    layer = task_layer(InMemoryChannelLayer())
    layer.declare_queue(BRIEF)
    layer.send("brief", 0, envelope())

    wait_until(lambda: not layer.has_queue("brief"))
    assert layer.size("brief") == 0


def test_a_transient_queue_that_others_may_read_does_not_end() -> None:
    layer = task_layer(Layer())
    layer.declare_queue(BRIEF)
    layer.send("brief", 0, envelope("theirs"))
    layer.declare_queue(Queue("other", lease=0.01))
    layer.renew(["other"])  # this one was read here, so that its end is known

    wait_until(lambda: not layer.has_queue("other"))
    assert layer.has_queue("brief")
    assert got(layer, "brief")[1]["body"] == "theirs"
