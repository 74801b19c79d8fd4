"""A kombu channel on a channel layer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from amqp.exceptions import NotFound, PreconditionFailed
from amqp.protocol import queue_declare_ok_t
from kombu.log import get_logger
from kombu.transport.base import StdChannel, to_rabbitmq_queue_arguments
from kombu.utils.uuid import uuid

from cq_transport.envelope import REDELIVERED, Envelope, seal
from cq_transport.errors import TransportError, UndecodableMessage
from cq_transport.inbox import Inbox
from cq_transport.layers.base import Delivery
from cq_transport.ledger import Outgoing, current_ledger
from cq_transport.message import Message
from cq_transport.qos import QoS
from cq_transport.renewal import Renewal
from cq_transport.topology import EXCHANGE_TYPES, Binding, Queue

if TYPE_CHECKING:
    from cq_transport.transport import Transport

logger = get_logger(__name__)

MAX_PRIORITY = 9


class Channel(StdChannel):
    """Declares, publishes and consumes over one transport.

    Args:
        connection: the transport.
    """

    def __init__(self, connection: Transport) -> None:
        self.connection: Any = connection  # kombu's; none once the channel is closed
        self._transport = connection
        self.layer = connection.layer
        self.ledger = current_ledger()
        self.channel_id = next(connection.channel_ids)
        self.qos = QoS()
        self.closed = False
        self.inbox = Inbox(self)
        self._renewal = Renewal(self._renew)
        self._delivery_tags = itertools.count(1)

    # Exchanges and queues

    def exchange_declare(
        self,
        exchange: str | None = None,
        type: str = "direct",
        durable: bool = False,
        auto_delete: bool = False,
        arguments: dict[str, Any] | None = None,
        nowait: bool = False,
        passive: bool = False,
    ) -> None:
        """Declare an exchange; raises ``NotFound`` if ``passive`` and nobody has declared it."""
        type = type or "direct"
        exchange = exchange or f"amq.{type}"
        if passive:
            if not self.layer.has_exchange(exchange):
                raise NotFound(f"no exchange {exchange!r}", (40, 10), "Channel.exchange_declare")
            return
        if type not in EXCHANGE_TYPES:
            raise PreconditionFailed(
                f"exchange {exchange!r} has type {type!r}; there are {', '.join(EXCHANGE_TYPES)}"
            )
        known = self.layer.topology.exchanges.get(exchange)
        if known not in (None, type):
            raise PreconditionFailed(
                f"exchange {exchange!r} was declared with type {known!r}, now with {type!r}"
            )
        self.layer.topology.exchanges[exchange] = type
        if not (self.ledger.is_durable and durable):
            self.layer.declare_exchange(exchange, type)

    def exchange_delete(self, exchange: str, if_unused: bool = False, nowait: bool = False) -> None:
        """Remove an exchange with its bindings."""
        self.layer.delete_exchange(exchange)

    def exchange_bind(self, *args: Any, **kwargs: Any) -> None:
        """Bindings between exchanges are not supported."""
        raise NotImplementedError("channels:// does not bind exchanges to exchanges")

    exchange_unbind = exchange_bind

    def queue_declare(
        self,
        queue: str | None = None,
        passive: bool = False,
        durable: bool = False,
        exclusive: bool = False,
        auto_delete: bool = False,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> queue_declare_ok_t:
        """Declare a queue and count its messages; raises ``NotFound`` if ``passive`` and there is
        none.

        With a durable ledger a task's publisher must not wait for the layer, which may be away: it
        is told aside, and the count is then 0 unless ``passive``.
        """
        queue = queue or f"amq.gen-{uuid()}"
        if not passive:
            declared = Queue.declared(
                queue,
                auto_delete=auto_delete or exclusive,
                arguments=arguments,
                lease=self._transport.options.transient_lease,
            )
            if self._is_deferred(declared):
                self.layer.topology.queues[queue] = declared
                self._transport.declare_aside(queue)
                return queue_declare_ok_t(queue, 0, 0)
            self.layer.declare_queue(declared)
        elif not self._is_declared(queue):
            raise NotFound(f"no queue {queue!r}", (50, 10), "Channel.queue_declare")
        return queue_declare_ok_t(queue, self.layer.size(queue), 0)

    def queue_bind(
        self,
        queue: str,
        exchange: str | None = None,
        routing_key: str = "",
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Bind a queue to an exchange."""
        binding = Binding(exchange or "amq.direct", routing_key or "", queue)
        if self._is_deferred(self.layer.topology.queue(queue)):
            self.layer.topology.bind(binding)
            self._transport.declare_aside(queue)
        else:
            self.layer.bind(binding)

    def queue_unbind(
        self,
        queue: str,
        exchange: str | None = None,
        routing_key: str = "",
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Remove a binding."""
        self._transport.declare_now()
        self.layer.unbind(Binding(exchange or "amq.direct", routing_key or "", queue))

    def queue_delete(
        self, queue: str, if_unused: bool = False, if_empty: bool = False, **kwargs: Any
    ) -> None:
        """Remove a queue with its bindings and messages."""
        if not (if_empty and self.layer.size(queue)):
            self.layer.delete_queue(queue)

    def queue_purge(self, queue: str, **kwargs: Any) -> int:
        """Remove the waiting messages of a queue and return how many there were."""
        return self.layer.purge(queue)

    def after_reply_message_received(self, queue: str) -> None:
        """Remove the reply queue of a finished remote control command."""
        self.queue_delete(queue)

    def prepare_queue_arguments(self, arguments: dict[str, Any], **kwargs: Any) -> Any:
        """Translate kombu's queue options into the arguments of AMQP."""
        return to_rabbitmq_queue_arguments(arguments, **kwargs)

    # Publishing

    def prepare_message(
        self,
        body: Any,
        priority: int | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
        headers: dict[str, Any] | None = None,
        properties: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Put the parts of a message together."""
        properties = properties or {}
        properties.setdefault("delivery_info", {})
        properties.setdefault("priority", priority or 0)
        return {
            "body": body,
            "content-encoding": content_encoding,
            "content-type": content_type,
            "headers": headers or {},
            "properties": properties,
        }

    def basic_publish(
        self,
        message: dict[str, Any] | str,
        exchange: str = "",
        routing_key: str = "",
        **kwargs: Any,
    ) -> None:
        """Publish a message that ``prepare_message`` made, or a bare text as ``celery amqp`` does.

        Raises:
            LayerFull, LayerUnreachable: it was not accepted; kombu's retry policy knows both.
        """
        if isinstance(message, str):
            message = self.prepare_message(message)
        message["properties"]["delivery_info"].update(exchange=exchange, routing_key=routing_key)
        outgoing = self._outgoing(exchange or "", routing_key or "", seal(message))
        if not self.ledger.record(outgoing, self.layer):
            self._transport.declare_now()  # it is not the ledger that sends
            outgoing.send(self.layer)

    def _outgoing(self, exchange: str, routing_key: str, envelope: Envelope) -> Outgoing:
        priority = _priority(envelope)
        return Outgoing(self._transport.broker, exchange, routing_key, priority, envelope)

    # Consuming

    def basic_qos(
        self, prefetch_size: int = 0, prefetch_count: int = 0, apply_global: bool = False
    ) -> None:
        """Set how many messages may be unacknowledged at once; 0 is no limit."""
        self.qos.prefetch_count = prefetch_count
        self.inbox.pump()

    def basic_consume(
        self,
        queue: str,
        no_ack: bool = False,
        callback: Callable[[Message], Any] | None = None,
        consumer_tag: str | None = None,
        **kwargs: Any,
    ) -> str:
        """Deliver the messages of a queue to ``callback``."""
        consumer_tag = consumer_tag or uuid()
        self.inbox.add(consumer_tag, queue, no_ack, callback)
        return consumer_tag

    def basic_cancel(self, consumer_tag: str, **kwargs: Any) -> None:
        """Stop a consumer; what it had not been given yet goes back into the queue."""
        queue = self.inbox.remove(consumer_tag)
        if queue is not None and self.layer.topology.queue(queue).auto_delete:
            self.layer.delete_queue(queue)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Message | None:
        """Take one message from a queue, or ``None`` if it is empty."""
        self._transport.declare_now()
        while (delivery := self.layer.get(queue)) is not None:
            if not self.claim([delivery]):
                continue
            message = self.open(delivery)
            if message is not None:
                if not no_ack:
                    self.qos.append(message)
                return message
        return None

    def claim(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return those of the deliveries that may run here; the ledger has refused the others.

        Raises:
            LedgerUnavailable: that is not known now.
        """
        if not self.ledger.is_durable:
            return list(deliveries)
        readable = [found for found in deliveries if self._read(found)]
        asked = [found for found in readable if not found.is_claimed]
        envelopes = [cast(Envelope, found.envelope) for found in asked]
        answers = self.ledger.claim(self._transport.broker, envelopes)
        for delivery, is_claimed in zip(asked, answers, strict=True):
            delivery.is_claimed = is_claimed
        return [found for found in readable if found.is_claimed]

    def restore(self, delivery: Delivery) -> None:
        """Put a message back that was not delivered, unless it may not run any more."""
        envelope = delivery.envelope if delivery.is_claimed else None
        if envelope is None or self.ledger.hand_back(envelope):
            self.layer.restore(delivery)

    def open(self, delivery: Delivery) -> Message | None:
        """Make a message of a delivery, or dispose of it and return ``None`` if it is undecodable
        or dead.
        """
        if not self._read(delivery):
            return None
        envelope = cast(Envelope, delivery.envelope)
        if self._is_dead(delivery, envelope):
            if delivery.is_claimed:
                self.ledger.reject(envelope)
            self._bury(delivery, envelope, "expired")
            return None
        return Message(envelope, delivery, self, next(self._delivery_tags))

    def _read(self, delivery: Delivery) -> bool:
        if delivery.envelope is None:
            try:
                delivery.envelope = self.layer.decode(delivery)
            except UndecodableMessage as exc:
                logger.error(
                    "Dropped an undecodable message from queue %r: %s", delivery.queue, exc
                )
                return False
        return True

    def message_to_python(self, message: Message) -> Message:
        """Messages come ready."""
        return message

    def basic_ack(self, delivery_tag: int, multiple: bool = False) -> None:
        """Be done with a message, or with all until that one."""
        for tag in self.qos.up_to(delivery_tag) if multiple else (delivery_tag,):
            self.qos.ack(tag)
        self.inbox.pump()

    def basic_reject(self, delivery_tag: int, requeue: bool = False) -> None:
        """Put a message back in its place, or drop it to the queue's dead letters."""
        message = self.qos.get(delivery_tag)
        if message is not None:
            if requeue:
                self._redeliver(message)
            else:
                self.ledger.reject(message.envelope)
                self._bury(message.delivery, message.envelope, "rejected")
            self.qos.ack(delivery_tag)
        self.inbox.pump()

    def basic_recover(self, requeue: bool = False) -> None:
        """Put all unacknowledged messages back."""
        if not requeue:
            raise NotImplementedError("channels:// does not support recover(requeue=False)")
        self.restore_unacked()

    def restore_unacked(self) -> None:
        """Put all unacknowledged messages back; those that the layer does not take are logged."""
        for message in self.qos.unacked():
            try:
                self._redeliver(message)
            except TransportError as exc:
                logger.error(
                    "Message %s of queue %r could not be handed back: %s",
                    message.properties.get("correlation_id"),
                    message.delivery.queue,
                    exc,
                )
            self.qos.ack(message.delivery_tag)

    def flow(self, active: bool = True) -> None:
        """Flow control is not supported; the prefetch count does that."""
        raise NotImplementedError("channels:// does not support flow")

    # Life

    def tick(self, *, renew: bool) -> None:
        """Look after deadlines, and after the leases of the queues if ``renew``."""
        self.inbox.tick()
        if renew and self.inbox.queues and self.inbox.is_connected:
            self._renewal.run(self.connection.watcher.has_hub)

    def close(self) -> None:
        """Stop consuming and hand back everything unacknowledged."""
        if self.closed:
            return
        self.closed = True
        for consumer_tag in self.inbox.tags:
            with suppress(TransportError):
                self.basic_cancel(consumer_tag)
        self.inbox.close()
        self.restore_unacked()
        if self.connection is not None:
            self.connection.close_channel(self)

    def _renew(self) -> None:
        with suppress(TransportError):
            self.layer.renew(self.inbox.queues)

    def _redeliver(self, message: Message) -> None:
        if self.ledger.hand_back(message.envelope):
            self.layer.restore(message.delivery, {**message.envelope, REDELIVERED: True})

    def _is_declared(self, queue: str) -> bool:
        self._transport.declare_now()
        return self.layer.has_queue(queue)

    def _is_deferred(self, queue: Queue) -> bool:
        return self.ledger.is_durable and not queue.is_transient

    def _is_dead(self, delivery: Delivery, envelope: Envelope) -> bool:
        queue = self.layer.topology.queue(delivery.queue)
        limits = [queue.message_ttl]
        expiration = envelope["properties"].get("expiration")
        # A worker revokes an expired task and says so in its result; a task that is dropped here
        # would be pending for ever.
        drops = queue.dead_letter_exchange is not None or not _is_task_that_expires(envelope)
        if expiration not in (None, "") and drops:
            limits.append(float(expiration) / 1000)  # AMQP gives milliseconds, as text
        return any(limit is not None and delivery.age > limit for limit in limits)

    def _bury(self, delivery: Delivery, envelope: Envelope, reason: str) -> None:
        queue = self.layer.topology.queue(delivery.queue)
        if queue.dead_letter_exchange is None:
            return
        info = envelope["properties"].get("delivery_info") or {}
        routing_key = queue.dead_letter_routing_key
        if routing_key is None:
            routing_key = info.get("routing_key", "")
        letter = _dead_letter(envelope, queue.dead_letter_exchange, routing_key, queue.name, reason)
        try:
            self._outgoing(queue.dead_letter_exchange, routing_key, letter).send(self.layer)
        except TransportError as exc:  # as in RabbitMQ, no consumer ends for the dead letters' sake
            logger.error(
                "Message %s of queue %r could not be sent to the dead letters: %s",
                envelope["properties"].get("correlation_id"),
                queue.name,
                exc,
            )


def _priority(envelope: Envelope) -> int:
    try:
        return max(0, min(int(envelope["properties"]["priority"]), MAX_PRIORITY))
    except (KeyError, TypeError, ValueError):
        return 0


def _is_task_that_expires(envelope: Envelope) -> bool:
    headers = envelope["headers"]
    return bool(headers.get("task") and headers.get("expires"))


def _dead_letter(
    envelope: Envelope, exchange: str, routing_key: str, queue: str, reason: str
) -> Envelope:
    # The names of the headers are RabbitMQ's.
    properties = {key: val for key, val in envelope["properties"].items() if key != "expiration"}
    properties["delivery_info"] = {"exchange": exchange, "routing_key": routing_key}
    first_death = {"x-first-death-queue": queue, "x-first-death-reason": reason}
    return {**envelope, "headers": {**first_death, **envelope["headers"]}, "properties": properties}
