"""Exchanges lead messages to queues as AMQP has it."""

import pytest
from kombu import Connection, Exchange, Queue
from kombu.common import Broadcast

from tests.conformance.broker import Broker, publish, send
from tests.conformance.inbox import Inbox, declare


def test_direct_matches_the_whole_key(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("direct", type="direct")
    one, two = Queue("one", exchange, "key"), Queue("two", exchange, "key.2")
    declare(connection, one, two)

    publish(connection, exchange, "key", "first")
    publish(connection, exchange, "key.2", "second")
    publish(connection, exchange, "KEY", "nobody's")

    assert broker.contents(connection, one) == ["first"]
    assert broker.contents(connection, two) == ["second"]


def test_direct_copies_to_every_queue_of_a_key(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("direct", type="direct")
    one, two = Queue("one", exchange, "key"), Queue("two", exchange, "key")
    declare(connection, one, two)

    publish(connection, exchange, "key", "copied")

    assert broker.contents(connection, one) == ["copied"]
    assert broker.contents(connection, two) == ["copied"]


def test_two_bindings_of_a_queue_make_one_copy(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("topic", type="topic")
    queue = Queue("queue", exchange, "a.*")
    declare(connection, queue, Queue("queue", exchange, "*.b"))

    publish(connection, exchange, "a.b", "both match")
    publish(connection, exchange, "c.b", "one matches")

    assert sorted(broker.contents(connection, queue)) == ["both match", "one matches"]


KEYS = ["a", "a.b", "a.b.c", "b.a", "a.b.c.d", "ab", "a.x.c"]
PATTERNS = {
    "a": ["a"],
    "a.b": ["a.b"],
    "a.*": ["a.b"],
    "*.*": ["a.b", "b.a"],
    "*.*.c": ["a.b.c", "a.x.c"],
    "a.*.c": ["a.b.c", "a.x.c"],
    "#": KEYS,
}
PATTERNS_OF_NO_WORD = {
    "a.#": ["a", "a.b", "a.b.c", "a.b.c.d", "a.x.c"],
    "#.c": ["a.b.c", "a.x.c"],
    "a.#.b": ["a.b"],
    "#.a.#": ["a", "a.b", "a.b.c", "b.a", "a.b.c.d", "a.x.c"],
    "a.*.#": ["a.b", "a.b.c", "a.b.c.d", "a.x.c"],
    "*.#.c": ["a.b.c", "a.x.c"],
    "#.#": KEYS,
}


def check_patterns(broker: Broker, connection: Connection, patterns: dict[str, list[str]]) -> None:
    exchange = Exchange("topic", type="topic")
    queues = {pattern: Queue(f"queue {pattern}", exchange, pattern) for pattern in patterns}
    declare(connection, *queues.values())

    for key in KEYS:
        publish(connection, exchange, key, key)

    found = {
        pattern: sorted(broker.contents(connection, queue)) for pattern, queue in queues.items()
    }
    assert found == {pattern: sorted(keys) for pattern, keys in patterns.items()}


def test_topic_wildcards(broker: Broker, connection: Connection) -> None:
    check_patterns(broker, connection, PATTERNS)


def test_topic_hash_stands_for_no_word_too(broker: Broker, connection: Connection) -> None:
    check_patterns(broker, connection, PATTERNS_OF_NO_WORD)


def test_topic_patterns_are_no_regular_expressions(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("topic", type="topic")
    queue = Queue("queue", exchange, "a+b.(c|d).*")
    declare(connection, queue)

    publish(connection, exchange, "aab.c.x", "no")
    publish(connection, exchange, "a+b.(c|d).x", "yes")

    assert broker.contents(connection, queue) == ["yes"]


def test_topic_key_with_empty_words(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("topic", type="topic")
    every = Queue("every", exchange, "#")
    declare(connection, every)

    for key in ("", "x.", "x", ".x"):
        publish(connection, exchange, key, f"<{key}>")

    assert sorted(broker.contents(connection, every)) == ["<.x>", "<>", "<x.>", "<x>"]


def test_fanout_reaches_every_queue(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("fanout", type="fanout")
    one = Inbox(connection, Queue("fan one", exchange)).settle()
    two = Inbox(connection, Queue("fan two", exchange, "any key")).settle()

    publish(connection, exchange, "", "first")
    publish(connection, exchange, "a key", "second")

    assert one.take(2) == ["first", "second"]
    assert two.take(2) == ["first", "second"]


def test_fanout_reaches_every_connection(
    broker: Broker, connection: Connection, other: Connection
) -> None:
    exchange = Exchange("fanout", type="fanout")
    one = Inbox(connection, Queue("fan one", exchange)).settle()
    two = Inbox(other, Queue("fan two", exchange)).settle()

    publish(broker.connect(), exchange, "", "news")

    assert one.take() == ["news"]
    assert two.take() == ["news"]


def test_fanout_keeps_messages_for_an_absent_consumer(
    broker: Broker, connection: Connection
) -> None:
    exchange = Exchange("fanout", type="fanout")
    queue = Queue("fan one", exchange)
    declare(connection, queue)

    publish(connection, exchange, "", "kept")

    assert Inbox(connection, queue).take() == ["kept"]


def test_broadcast_queues(broker: Broker, connection: Connection, other: Connection) -> None:
    one = Inbox(connection, Broadcast("news")).settle()
    two = Inbox(other, Broadcast("news")).settle()

    publish(broker.connect(), Exchange("news", type="fanout"), "", "extra", "late")

    assert one.take(2) == ["extra", "late"]
    assert two.take(2) == ["extra", "late"]


def test_anonymous_exchange_leads_to_the_queue_of_that_name(
    broker: Broker, connection: Connection
) -> None:
    one, two = Queue("one", Exchange("x"), "two"), Queue("two", Exchange("x"), "one")
    declare(connection, one, two)

    send(connection, "one", "first")
    publish(connection, Exchange("x"), "one", "second")

    assert broker.contents(connection, one) == ["first"]
    assert broker.contents(connection, two) == ["second"]


@pytest.mark.parametrize("kind", ["direct", "topic"])
def test_unroutable_message_is_dropped(broker: Broker, connection: Connection, kind: str) -> None:
    queue = Queue("elsewhere", Exchange("other", type=kind), "key")
    declare(connection, queue)

    publish(connection, Exchange("empty", type=kind), "key", "lost by design")

    assert broker.contents(connection, Queue("elsewhere")) == []


def test_fanout_without_queues_drops_messages(broker: Broker, connection: Connection) -> None:
    inbox = Inbox(connection, Queue("fan", Exchange("other", type="fanout"))).settle()

    publish(connection, Exchange("empty", type="fanout"), "", "lost by design")
    publish(connection, Exchange("other", type="fanout"), "", "found")

    assert inbox.take() == ["found"]


def test_deleted_exchange_leads_nowhere(broker: Broker, connection: Connection) -> None:
    exchange = Exchange("exchange", type="direct")
    queue = Queue("queue", exchange, "key")
    declare(connection, queue)
    exchange(connection.default_channel).delete()

    publish(connection, exchange, "key", "too late")

    assert broker.contents(connection, Queue("queue")) == []
