"""Stamps tell what a public layer does not, and foreign messages cannot harm them."""

from __future__ import annotations

from time import time
from typing import Any

import pytest

from cq_transport.layers.public import stamps

BARE = {"type": "cq.message", "body": "x"}


def test_a_fresh_message_is_stamped() -> None:
    before = time()
    message = stamps.stamped(BARE, stamps.fresh(3, ("exchange", "key")))

    assert stamps.priority_of(message) == 3
    assert stamps.routed_by(message) == ("exchange", "key")
    assert before <= message[stamps.SENT_AT] <= time()
    assert {key: message[key] for key in BARE} == BARE


def test_a_new_stamp_replaces_the_old_ones() -> None:
    old = stamps.stamped(BARE, stamps.fresh(3, ("exchange", "key")))
    message = stamps.stamped(old, stamps.fresh(5))

    assert stamps.priority_of(message) == 5
    assert stamps.routed_by(message) is None


def test_what_goes_back_keeps_its_age_and_its_way() -> None:
    old = {**BARE, stamps.SENT_AT: 1_000.0, stamps.ROUTED: ["exchange", "key"]}
    message = stamps.stamped(old, stamps.kept(old, 7))

    assert message[stamps.SENT_AT] == 1_000.0
    assert stamps.routed_by(message) == ("exchange", "key")
    assert stamps.priority_of(message) == 7


def test_a_message_without_a_stamp_gets_its_age_when_it_goes_back() -> None:
    before = time()

    assert before <= stamps.kept(BARE, 0)[stamps.SENT_AT] <= time()


def test_age() -> None:
    assert 9 < stamps.age_of({stamps.SENT_AT: time() - 10}) < 100
    assert stamps.age_of({stamps.SENT_AT: time() + 100}) == 0, "its publisher's clock is ahead"
    assert stamps.age_of({}) == 0
    assert stamps.age_of({stamps.SENT_AT: "yesterday"}) == 0


@pytest.mark.parametrize(
    "message",
    [None, "text", b"bytes", [], {}, *({stamps.PRIORITY: bad} for bad in (-1, 10, 1.5, "1", True))],
    ids=repr,
)
def test_a_foreign_message_has_priority_0(message: Any) -> None:
    assert stamps.priority_of(message) == 0


@pytest.mark.parametrize("routed", [None, "ab", {}, ["one"], ["one", "two", "three"]], ids=repr)
def test_a_foreign_message_has_no_way(routed: Any) -> None:
    assert stamps.routed_by({stamps.ROUTED: routed}) is None
    assert stamps.routed_by(routed) is None
