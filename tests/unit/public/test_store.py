"""A store gives out the most urgent message, and the earliest of those."""

from __future__ import annotations

from cq_transport.layers.public.store import Held, Store

UP, DOWN = range(10), range(9, -1, -1)


def filled(*places: tuple[int, int]) -> Store:
    """Return a store with messages, each with number and priority."""
    store = Store()
    for number, priority in places:
        store.put(Held(number, priority, f"message {number}"))
    return store


def numbers(store: Store, priorities: range) -> list[int]:
    found = []
    while (held := store.take(priorities)) is not None:
        found.append(held.number)
    return found


def test_an_empty_store() -> None:
    assert filled().take(UP) is None
    assert filled().take_oldest() is None
    assert not filled()


def test_priorities_come_in_the_order_asked_for() -> None:
    places = (1, 5), (2, 0), (3, 9)

    assert numbers(filled(*places), UP) == [2, 1, 3]
    assert numbers(filled(*places), DOWN) == [3, 1, 2]


def test_a_priority_is_given_out_in_its_order() -> None:
    assert numbers(filled((3, 0), (1, 0), (2, 0)), UP) == [1, 2, 3]


def test_what_comes_back_takes_its_old_place() -> None:
    store = filled((1, 0), (2, 0), (3, 0))
    first = store.take(UP)
    assert first is not None
    store.put(first)

    assert numbers(store, UP) == [1, 2, 3]


def test_the_oldest_is_taken_whatever_its_priority() -> None:
    store = filled((2, 0), (1, 9), (3, 4))
    found = [held.number for _ in range(3) if (held := store.take_oldest()) is not None]

    assert found == [1, 2, 3]


def test_length() -> None:
    store = filled((1, 0), (2, 9))
    assert len(store) == 2
    store.take(UP)
    assert len(store) == 1


def test_messages_that_cannot_be_compared() -> None:
    store = Store()
    for number in (1, 1):  # equal places, as if two layers had been numbered apart
        store.put(Held(number, 0, {"body": object()}))

    assert len(numbers(store, UP)) == 2
