"""One consumer's readers of all hosts of a layer."""

from __future__ import annotations

from collections.abc import Sequence

from cq_transport.layers.base import Consumer, Watcher
from cq_transport.layers.redis.reader import HostReader


class RedisReader:
    """Spreads one consumer's room over the hosts.

    Args:
        consumer: whose messages they are.
        watcher: waits for the connections.
        hosts: a reader for each host.
    """

    def __init__(self, consumer: Consumer, watcher: Watcher, hosts: Sequence[HostReader]) -> None:
        self._consumer = consumer
        self._watcher = watcher
        self._hosts = list(hosts)
        self._lingering = False

    @property
    def is_connected(self) -> bool:
        """Whether every host is reached as far as is known."""
        return all(host.is_connected for host in self._hosts)

    def consume(self, queues: Sequence[str]) -> None:
        """Read these queues, and no others, from now on."""
        self.stop()
        for host in self._hosts:
            host.consume(queues)

    def pump(self, eager: bool = False) -> None:
        """Ask the hosts for as many messages as the consumer has room for."""
        idle = [host for host in self._hosts if host.is_idle]
        if not idle:
            return
        room = self._consumer.room() - sum(host.reserved for host in self._hosts)
        if room <= 0:
            return
        if not eager and (seconds := self._consumer.linger(room)):
            self._linger(seconds)
            return
        for host in idle:  # at least one each: a surplus is put back
            host.pump(max(1, room // len(idle)))

    def tick(self) -> None:
        """Look after deadlines and lost connections."""
        for host in self._hosts:
            host.tick()
        self.pump(eager=True)

    def stop(self) -> None:
        """Stop reading; what is under way is handed to the consumer."""
        for host in self._hosts:
            found = host.interrupt()
            host.consume(())
            if found:
                self._consumer.arrived(found)

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        for host in self._hosts:
            host.close()

    def _linger(self, seconds: float) -> None:
        if not self._lingering:
            self._lingering = True
            self._watcher.call_later(seconds, self._end_of_linger)

    def _end_of_linger(self) -> None:
        self._lingering = False
        self.pump(eager=True)
