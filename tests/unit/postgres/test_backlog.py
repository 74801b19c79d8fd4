"""A backlog knows which channels are worth a query, and from which id on."""

from __future__ import annotations

from cq_transport.layers.postgres.backlog import Backlog, Wanted


def following(*channels: str) -> Backlog:
    backlog = Backlog()
    backlog.follow(channels)
    return backlog


def test_nothing_is_known_at_first() -> None:
    backlog = following("a")

    assert not backlog
    assert backlog.begin(["a"]) == []


def test_the_lowest_id_counts() -> None:
    backlog = following("a")
    for message_id in (5, 3, 7):
        backlog.note("a", message_id)

    assert backlog.begin(["a"]) == [Wanted("a", 3)]


def test_channels_come_in_the_order_asked_for() -> None:
    backlog = following("a", "b")
    backlog.note("a", 1)
    backlog.note("b", 2)

    assert backlog.begin(["b", "a"]) == [Wanted("b", 2), Wanted("a", 1)]
    assert not backlog


def test_other_channels_are_ignored() -> None:
    backlog = following("a")
    backlog.note("stranger", 1)

    assert not backlog


def test_following_others_forgets() -> None:
    backlog = following("a")
    backlog.note("a", 1)
    backlog.follow(["b"])

    assert not backlog


def test_with_too_few_messages_there_are_no_more() -> None:
    backlog = following("a")
    backlog.note("a", 1)
    wanted = backlog.begin(["a"])
    backlog.end(wanted, {"a": 4}, enough=False)

    assert not backlog


def test_with_enough_messages_there_may_be_more() -> None:
    backlog = following("a", "b", "c")
    for message_id, channel in enumerate("abc", 1):
        backlog.note(channel, message_id)
    wanted = backlog.begin(["a", "b", "c"])
    backlog.end(wanted, {"a": 10, "b": 20}, enough=True)

    assert backlog.begin(["a", "b", "c"]) == [Wanted("b", 21), Wanted("c", 3)]


def test_news_during_a_query_are_kept() -> None:
    backlog = following("a")
    backlog.note("a", 1)
    wanted = backlog.begin(["a"])
    backlog.note("a", 5)
    backlog.end(wanted, {"a": 9}, enough=True)

    assert backlog.begin(["a"]) == [Wanted("a", 5)]
