"""A kombu channel on a channel layer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from kombu.log import get_logger
from kombu.utils.uuid import uuid

from cq_transport.dead_letters import dead_letter, is_expired
from cq_transport.declarations import Declarations
from cq_transport.envelope import REDELIVERED, Envelope, seal
from cq_transport.errors import TransportError, UndecodableMessage
from cq_transport.inbox import Inbox
from cq_transport.layers.base import Delivery
from cq_transport.ledger import Outgoing
from cq_transport.message import Message
from cq_transport.qos import QoS
from cq_transport.renewal import Renewal
from cq_transport.topology import Queue

if TYPE_CHECKING:
    from cq_transport.transport import Transport

logger = get_logger(__name__)

MAX_PRIORITY = 9


class Channel(Declarations):
    """Declares, publishes and consumes over one transport.

    Args:
        connection: the transport.
    """

    def __init__(self, connection: Transport) -> None:
        super().__init__(connection)
        self.channel_id = next(connection.channel_ids)
        self.qos = QoS()
        self.closed = False
        self.inbox = Inbox(self)
        self._renewal = Renewal(self._renew)
        self._delivery_tags = itertools.count(1)

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
        queue = self.layer.topology.queue(delivery.queue)
        if is_expired(queue, envelope, delivery.age):
            if delivery.is_claimed:
                self.ledger.reject(envelope)
            self._bury(queue, envelope, "expired")
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
        self._transport.stir()
        self.inbox.pump()

    def basic_reject(self, delivery_tag: int, requeue: bool = False) -> None:
        """Put a message back in its place, or drop it to the queue's dead letters."""
        message = self.qos.get(delivery_tag)
        if message is not None:
            if requeue:
                self._redeliver(message)
            else:
                self.ledger.reject(message.envelope)
                queue = self.layer.topology.queue(message.delivery.queue)
                self._bury(queue, message.envelope, "rejected")
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

    def _bury(self, queue: Queue, envelope: Envelope, reason: str) -> None:
        if queue.dead_letter_exchange is None:
            return
        letter = dead_letter(queue, envelope, reason)
        info = letter["properties"]["delivery_info"]
        try:
            self._outgoing(info["exchange"], info["routing_key"], letter).send(self.layer)
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
