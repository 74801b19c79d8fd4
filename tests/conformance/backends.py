"""The brokers that the cases run on, and what a broker lacks by its nature."""

from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from channels_redis.core import RedisChannelLayer
from kombu import VERSION as KOMBU

REDIS_LAYER = "channels_redis.core.RedisChannelLayer"
PUBSUB_LAYER = "channels_redis.pubsub.RedisPubSubChannelLayer"
MEMORY_LAYER = "channels.layers.InMemoryChannelLayer"
UNKNOWN_LAYER = "tests.conformance.layers.UnknownLayer"
POSTGRES_LAYER = "channels_postgres.core.PostgresChannelLayer"

#: Room and time enough that neither is ever what a case trips over.
ROOMY = {"capacity": 1_000_000, "expiry": 86_400}
#: The room of a queue in the aliases named "small-...".
SMALL = 50
#: JSON instead of MessagePack; before its release 4.3 channels-redis has no choice.
JSON = (
    {"serializer_format": "json"}
    if "serializer_format" in signature(RedisChannelLayer).parameters
    else {}
)


@dataclass(frozen=True)
class Backend:
    """A broker under test; `alias` is its entry of CHANNEL_LAYERS, none for the yardstick."""

    name: str
    alias: str | None
    traits: frozenset[str] = field(default_factory=frozenset)
    options: dict[str, Any] = field(default_factory=dict, hash=False)

    @property
    def has_several_hosts(self) -> bool:
        """Whether routed messages of a queue may lie on another server than those sent to it."""
        return "hosts" in self.traits

    def lacks(self, case: str) -> str | None:
        """Return why `case` cannot be had here, or None."""
        for trait in (self.name, *self.traits):
            if reason := LACKS.get(trait, {}).get(case):
                return reason
        return None


def _backend(name: str, alias: str | None, *traits: str, **options: Any) -> Backend:
    return Backend(name, alias, frozenset(traits), options)


BACKENDS = [
    _backend("redis-stock", None, "stock", priority_steps=list(range(10))),
    _backend("channels-redis", "redis", "channels", "redis"),
    _backend("channels-redis-shards", "shards", "channels", "redis", "hosts"),
    *([_backend("channels-redis-json", "json", "channels", "redis")] if JSON else []),
    _backend("channels-redis-encrypted", "encrypted", "channels", "redis"),
    _backend("channels-memory", "memory", "channels", "memory"),
    _backend("channels-postgres", "postgres", "channels"),
    _backend("channels-public", "public", "channels"),
]

_TTL = "Celery's Redis transport knows no time to live of messages"
_DEAD = "Celery's Redis transport reads no dead-letter arguments"
_MINE = "this is of channels:// alone"
_PLACE = "Celery's Redis transport puts messages back at the other end of the queue"
_UNBIND = "Celery's Redis transport keeps bindings for ever"
_EMPTY = "to Celery's Redis transport an empty queue is none"
_FANOUT = "Celery's Redis transport publishes fanouts to those who listen at the moment"
_NO_CAPACITY = "PostgresChannelLayer ignores its capacity"
_ONE_PROCESS = "InMemoryChannelLayer ends with its process"
_ONE_CHANNEL = "here a queue has one channel for all priorities"
_ONE_HOST = "a stock receive looks at one host, and waits there"
_IN_TURN = "receive gives the messages of a channel in their order, whatever their priority"
_LAST = "what is sent back becomes the last"
_NO_COUNT = "no public call counts messages"
_NO_ANSWER = "group_send tells neither whether a channel was full nor whether there was one"

_LACKS_OF_OLD_KOMBU = {
    "test_topic_wildcards": "to the Redis transport of older kombus * is one or more words",
    "test_no_descriptor_is_left_behind": "the Redis transport of older kombus leaves one",
}

#: Trait of a backend -> name of a case -> why the backend cannot have it.
LACKS: dict[str, dict[str, str]] = {
    "stock": {
        "test_publisher_need_not_declare_the_exchange": (
            "Celery's Redis transport takes an exchange it has not declared for a direct one"
        ),
        "test_child_closes_its_parent_s_connection": (
            "in Celery's Redis transport a child shares its parent's poller"
        ),
        "test_requeued_message_keeps_its_place": _PLACE,
        "test_another_queue_of_the_exchange_gets_no_copy_of_what_is_requeued": (
            "Celery's Redis transport routes what is put back anew"
        ),
        "test_message_s_own_time_to_live": _TTL,
        "test_queue_s_time_to_live": _TTL,
        "test_the_shorter_time_to_live_counts": _TTL,
        "test_expired_messages_take_no_room_in_the_window": _TTL,
        "test_expired_message_is_not_got": _TTL,
        "test_rejected_message": _DEAD,
        "test_rejected_message_keeps_its_key": _DEAD,
        "test_rejected_message_keeps_body_and_headers": _DEAD,
        "test_expired_message": _DEAD,
        "test_message_expired_by_its_queue": _DEAD,
        "test_messages_go_back_to_their_places": _PLACE,
        "test_requeued_message_keeps_its_priority": _PLACE,
        "test_fanout_keeps_messages_for_an_absent_consumer": _FANOUT,
        "test_fanout_reaches_every_queue": "Celery's Redis transport needs a channel for each",
        "test_fanout_exchange_names": _FANOUT,
        "test_unroutable_message_of_a_topic_goes_to_the_option_s_queue": (
            "Celery's Redis transport drops what no topic matches"
        ),
        "test_unbind": _UNBIND,
        "test_unbind_fanout": _UNBIND,
        "test_unbind_from_another_process": _UNBIND,
        "test_topic_hash_stands_for_no_word_too": (
            "Celery's Redis transport takes # for one or more words"
        ),
        "test_passive_declaration_of_a_missing_queue": (
            "Celery's Redis transport raises an error without a code"
        ),
        "test_passive_declaration_of_an_empty_queue": _EMPTY,
        "test_delete_if_empty": _EMPTY,
        "test_full_queue_raises": _MINE,
        "test_full_queue_behind_an_exchange_raises": _MINE,
        "test_accepted_messages_are_not_lost": _MINE,
        "test_confirmed_messages_are_not_more_than_the_room": _MINE,
        "test_there_is_room_again": _MINE,
        "test_a_full_queue_does_not_touch_another": _MINE,
        "test_publisher_waits_for_room": _MINE,
        "test_broadcast_into_a_full_queue_drops_the_oldest": _MINE,
        "test_priority_order_option": _MINE,
        "test_namespaces_and_queues_are_not_confused": _MINE,
        "test_names_do_not_look_like_channels": _MINE,
        "test_foreign_messages": _MINE,
        "test_raw_bytes": _MINE,
        "test_broken_message_is_got_as_nothing": _MINE,
        "test_stock_receive_reads_messages": _MINE,
        "test_stock_receive_reads_routed_messages": _MINE,
        "test_messages_go_through_stock_calls": _MINE,
        "test_stock_send_wakes_a_waiting_consumer": _MINE,
        "test_stock_flush_empties_queues": _MINE,
        **(_LACKS_OF_OLD_KOMBU if KOMBU[:2] < (5, 7) else {}),
    },
    "memory": {
        "test_binding_of_another_process": _ONE_PROCESS,
        "test_fanout_from_another_process": _ONE_PROCESS,
        "test_unbind_from_another_process": _ONE_PROCESS,
        "test_child_publishes_on_a_connection_of_its_own": _ONE_PROCESS,
        "test_child_publishes_on_its_parent_s_connection": _ONE_PROCESS,
        "test_parent_goes_on_after_its_child": _ONE_PROCESS,
        "test_messages_go_back_when_a_process_ends": _ONE_PROCESS,
        "test_count_from_another_process": _ONE_PROCESS,
        "test_consumers_in_two_processes": _ONE_PROCESS,
        "test_processes_publish_and_consume": _ONE_PROCESS,
        "test_raw_bytes": "memory holds no bytes",
        "test_stock_receive_reads_routed_messages": _ONE_CHANNEL,
        "test_stock_send_wakes_a_waiting_consumer": _ONE_CHANNEL,
    },
    "channels-postgres": {
        "test_full_queue_raises": _NO_CAPACITY,
        "test_full_queue_behind_an_exchange_raises": _NO_CAPACITY,
        "test_accepted_messages_are_not_lost": _NO_CAPACITY,
        "test_confirmed_messages_are_not_more_than_the_room": _NO_CAPACITY,
        "test_there_is_room_again": _NO_CAPACITY,
        "test_a_full_queue_does_not_touch_another": _NO_CAPACITY,
        "test_publisher_waits_for_room": _NO_CAPACITY,
        "test_stock_flush_empties_queues": "it would flush the other cases' layer",
    },
    # Repeated messages are no row here, though the stock receive repeats some where processes
    # compete: no case has several processes receive at one time from a layer of that kind.
    "channels-public": {
        "test_ten_priorities": _IN_TURN,
        "test_first_in_first_out_within_a_priority": _IN_TURN,
        "test_urgent_message_overtakes_those_that_wait": _IN_TURN,
        "test_a_message_without_priority_is_urgent": _IN_TURN,
        "test_priorities_beyond_the_range_are_cut": _IN_TURN,
        "test_priority_order_option": _IN_TURN,
        "test_requeued_message_keeps_its_priority": _IN_TURN,
        "test_get_most_urgent_first": _IN_TURN,
        "test_requeued_message_keeps_its_place": _LAST,
        "test_messages_go_back_to_their_places": _LAST,
        "test_passive_declaration_counts": _NO_COUNT,
        "test_count_from_another_connection": _NO_COUNT,
        "test_count_from_another_process": _NO_COUNT,
        "test_delete_if_empty": _NO_COUNT,
        "test_simple_size_and_clear": _NO_COUNT,
        "test_full_queue_behind_an_exchange_raises": _NO_ANSWER,
        "test_unroutable_message_goes_to_the_option_s_queue": _NO_ANSWER,
        "test_unroutable_message_of_a_topic_goes_to_the_option_s_queue": _NO_ANSWER,
        "test_broadcast_into_a_full_queue_drops_the_oldest": "a full channel takes nothing new",
        "test_stock_receive_reads_routed_messages": _ONE_CHANNEL,
        "test_stock_send_wakes_a_waiting_consumer": _ONE_CHANNEL,
        "test_stock_flush_empties_queues": "its flush closes the connections of other event loops",
    },
    "hosts": {
        "test_stock_receive_reads_messages": _ONE_HOST,
        "test_stock_receive_reads_routed_messages": _ONE_HOST,
        "test_messages_go_through_stock_calls": _ONE_HOST,
        "test_stock_send_wakes_a_waiting_consumer": _ONE_HOST,
    },
}


def layers(hosts: list[str], database: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return CHANNEL_LAYERS over two Redis hosts and a PostgreSQL database, JSON all through."""
    first = hosts[:1]
    # Stock calls wait 5 s for a message, which must be less than the limit of the client.
    patient = [{"address": hosts[0], "socket_timeout": 30}]

    def redis(prefix: str, backend: str = REDIS_LAYER, **config: Any) -> dict[str, Any]:
        config = {"hosts": first, "prefix": prefix, **ROOMY, **config}
        return {"BACKEND": backend, "CONFIG": config}

    return {
        "redis": redis("plain"),
        "shards": redis("shards", hosts=hosts),
        "json": redis("json", **JSON),
        "encrypted": redis("encrypted", symmetric_encryption_keys=["first key", "second key"]),
        "memory": {"BACKEND": MEMORY_LAYER, "CONFIG": ROOMY},
        "postgres": {
            "BACKEND": POSTGRES_LAYER,
            "CONFIG": {"TIME_ZONE": "UTC", **database, "expiry": 86_400},
        },
        "public": redis("public", UNKNOWN_LAYER, hosts=patient),
        "small-public": redis("small-public", UNKNOWN_LAYER, hosts=patient, capacity=SMALL),
        "small-redis": redis("small", capacity=SMALL),
        "small-shards": redis("small-shards", hosts=hosts, capacity=SMALL),
        "small-json": redis("small-json", **JSON, capacity=SMALL),
        "small-encrypted": redis("small-enc", symmetric_encryption_keys=["k"], capacity=SMALL),
        "small-memory": {"BACKEND": MEMORY_LAYER, "CONFIG": {**ROOMY, "capacity": SMALL}},
        "pubsub": {"BACKEND": PUBSUB_LAYER, "CONFIG": {"hosts": first}},
        "gone": redis("gone", hosts=["redis://127.0.0.1:1/0"]),
    }


def cases_of(function: Callable[..., Any]) -> list[Backend]:
    """Return the backends that have the case `function`."""
    return [backend for backend in BACKENDS if not backend.lacks(function.__name__)]
