"""What a channel declares: exchanges, queues and bindings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from amqp.exceptions import NotFound, PreconditionFailed
from amqp.protocol import queue_declare_ok_t
from kombu.transport.base import StdChannel, to_rabbitmq_queue_arguments
from kombu.utils.uuid import uuid

from cq_transport.ledger import current_ledger
from cq_transport.topology import EXCHANGE_TYPES, Binding, Queue

if TYPE_CHECKING:
    from cq_transport.transport import Transport


class Declarations(StdChannel):
    """The half of a channel that sends no messages.

    Args:
        connection: the transport.
    """

    def __init__(self, connection: Transport) -> None:
        self.connection: Any = connection  # kombu's; none once the channel is closed
        self._transport = connection
        self.layer = connection.layer
        self.ledger = current_ledger()

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

    def _is_declared(self, queue: str) -> bool:
        self._transport.declare_now()
        return self.layer.has_queue(queue)

    def _is_deferred(self, queue: Queue) -> bool:
        return self.ledger.is_durable and not queue.is_transient
