"""Broker URLs and transport options."""

from __future__ import annotations

import pytest

from cq_transport.errors import LayerMisconfigured
from cq_transport.options import Address, Options

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("url", "alias", "namespace"),
    [
        ("channels://", "default", "default"),
        ("channels:///", "default", "default"),
        ("channels://tasks", "tasks", "default"),
        ("channels://Tasks_1/shop", "Tasks_1", "shop"),
        ("channels://tasks/shop/", "tasks", "shop"),
        ("channels://user:secret@tasks", "tasks", "default"),
        ("channels:///shop", "default", "shop"),
    ],
)
def test_urls_name_alias_and_namespace(url: str, alias: str, namespace: str) -> None:
    assert Address.parse(url) == Address(alias, namespace)


@pytest.mark.parametrize("url", ["channels://a/b/c", "channels://a?capacity=1", "channels://a#b"])
def test_urls_hold_nothing_else(url: str) -> None:
    with pytest.raises(LayerMisconfigured, match="CHANNEL_LAYERS"):
        Address.parse(url)


def test_kombu_gives_host_and_virtual_host_after_a_failover() -> None:
    assert Address.parse("tasks", "/") == Address("tasks", "default")
    assert Address.parse(None, "shop") == Address("default", "shop")


def test_an_address_prints_as_url_without_password() -> None:
    assert str(Address.parse("channels://user:secret@tasks/shop")) == "channels://tasks/shop"
    assert str(Address.parse("channels://")) == "channels://default"


def test_options_of_others_are_left_alone() -> None:
    assert Options.parse({"visibility_timeout": 3600}) == Options()


@pytest.mark.parametrize(
    "options", [{"priority_order": "amqp"}, {"publish_timeout": 0}, {"transient_capacity": -1}]
)
def test_meaningless_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(LayerMisconfigured, match=next(iter(options))):
        Options.parse(options)


def test_priority_order() -> None:
    assert Options().priorities == tuple(range(10))
    assert Options(priority_order="rabbitmq").priorities == tuple(range(9, -1, -1))
