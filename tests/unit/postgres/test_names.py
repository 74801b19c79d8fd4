"""Channels and keys of a namespace do not get mixed up."""

from __future__ import annotations

from itertools import product

from cq_transport.layers.postgres.names import Names

PRIORITIES = range(10)


def test_a_queue_has_a_channel_for_each_priority() -> None:
    names = Names("app", list(PRIORITIES))

    assert names.channels("mail") == [names.channel("mail", number) for number in PRIORITIES]
    assert len(set(names.channels("mail"))) == 10


def test_the_most_urgent_come_first_whatever_their_queue() -> None:
    names = Names("app", [9, 0])

    assert list(names.sources(["a", "b"]).values()) == [("a", 9), ("b", 9), ("a", 0), ("b", 0)]


def test_sources_tell_queue_and_priority() -> None:
    names = Names("app", list(PRIORITIES))

    assert names.sources(["mail"])[names.channel("mail", 7)] == ("mail", 7)


def test_keys_do_not_collide() -> None:
    words = ["", "a", "a.b", "_x", "_xa", "_p1", "ä" * 60]
    keys = [
        key(word)
        for namespace, word in product(("one", "two"), words)
        for key in (Names(namespace, [0]).queue_key, Names(namespace, [0]).exchange_key)
    ]

    assert len(set(keys)) == len(keys)
    assert all(len(key) < 100 for key in keys)
