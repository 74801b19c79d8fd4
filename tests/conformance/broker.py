"""A broker as a case sees it: connections into a namespace of its own."""

import itertools
import os
from functools import cached_property
from typing import Any
from urllib.parse import quote

from kombu import Connection, Exchange, Producer, Queue

from tests.conformance.backends import Backend
from tests.conformance.inbox import Inbox
from tests.conformance.peer import Peer
from tests.servers.redis import RedisServer

END = "the end of the queue"

_numbers = itertools.count(1)
#: The databases of the yardstick's server, which are its namespaces.
_databases = itertools.cycle(range(1, 16))


class Broker:
    """One backend and one namespace of it; closes the connections it has made."""

    def __init__(self, backend: Backend, server: RedisServer, peer: Peer) -> None:
        self.backend = backend
        self.server = server
        self.peer = peer
        self.namespace = f"t{os.getpid()}-{next(_numbers)}"
        self.alias = backend.alias
        self._connections: list[Connection] = []

    @cached_property
    def url(self) -> str:
        """The broker URL; in Celery's own transport a database is a namespace."""
        if self.alias:
            return f"channels://{self.alias}/{quote(self.namespace)}"
        database = next(_databases)
        with self.server.client(db=database) as client:
            client.flushdb()
        return f"redis://127.0.0.1:{self.server.port}/{database}"

    def elsewhere(self, namespace: str | None = None, alias: str | None = None) -> "Broker":
        """Return the same backend with another namespace, or another alias."""
        other = Broker(self.backend, self.server, self.peer)
        other.namespace = namespace or other.namespace
        other.alias = alias or self.alias
        other._connections = self._connections
        return other

    def small(self) -> "Broker":
        """Return a broker of the same kind whose queues hold few messages."""
        return self.elsewhere(alias=f"small-{self.alias}")

    def transport_options(self, **options: Any) -> dict[str, Any]:
        """Return what `Connection` takes as transport options."""
        return {**self.backend.options, **options}

    def connect(self, url: str | None = None, **options: Any) -> Connection:
        """Return a new connection, open; `options` are transport options."""
        connection = Connection(
            url or self.url, transport_options=self.transport_options(**options)
        )
        self._connections.append(connection)
        connection.connect()
        return connection

    def contents(self, connection: Connection, queue: Queue, priority: int = 0) -> list[Any]:
        """Consume and return everything in `queue`; its messages have one priority.

        In order where the broker keeps one; see the LACKS of `test_fifo`.
        """
        queue(connection.default_channel).declare()
        send(connection, queue.name, END, priority=priority)
        with Inbox(connection, queue) as inbox:
            found = inbox.until(END)
            return found + inbox.rest() if self.backend.has_several_hosts else found

    def other_process(self, operation: str, **arguments: Any) -> Any:
        """Run an operation of `tests.conformance.peer` in another process and return its answer."""
        return self.peer.run(operation, self.url, self.transport_options(), **arguments)

    def ending_process(self, operation: str, **arguments: Any) -> Any:
        """Do as `other_process`, in a process that ends without closing its connection."""
        options = self.transport_options()
        return self.peer.run_and_exit(operation, self.url, options, **arguments)

    def close(self) -> None:
        """Close what is open."""
        while self._connections:
            self._connections.pop().release()


def send(connection: Connection, queue: str, *bodies: Any, **options: Any) -> None:
    """Publish through the anonymous exchange."""
    publish(connection, Exchange(""), queue, *bodies, **options)


def publish(
    connection: Connection, exchange: Exchange, routing_key: str, *bodies: Any, **options: Any
) -> None:
    """Publish each of `bodies`; the exchange is declared if it wants to be."""
    producer = Producer(connection, exchange=exchange)
    for body in bodies:
        producer.publish(body, routing_key=routing_key, **options)
