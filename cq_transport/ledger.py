"""What a durable ledger does for the transport.

The transport alone delivers a message at most once. A ledger keeps every task message in a place
that outlives the layer, decides which copy of it may run, and learns what became of it. There is
one per process; the default one keeps nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cq_transport.envelope import Envelope

if TYPE_CHECKING:
    from cq_transport.layers.base import TaskLayer

#: AMQP's delivery mode of messages that need not outlive a broker.
TRANSIENT = 1


@dataclass(slots=True, frozen=True)
class Outgoing:
    """A message that is being published.

    Args:
        broker: the URL of the broker, ``channels://ALIAS/NAMESPACE``.
        exchange: the exchange, empty for the queue that ``routing_key`` names.
        priority: 0 to 9.
    """

    broker: str
    exchange: str
    routing_key: str
    priority: int
    envelope: Envelope

    @property
    def is_ephemeral(self) -> bool:
        """Whether it is one of Celery's events, commands and replies; a task never is, even if its
        author calls it transient.
        """
        is_transient = self.envelope["properties"].get("delivery_mode") == TRANSIENT
        return is_transient and "task" not in self.envelope["headers"]

    def send(self, layer: TaskLayer) -> None:
        """Give the message to the layer.

        Raises:
            LayerFull, LayerUnreachable: it was not accepted.
        """
        if self.exchange:
            layer.route(
                self.exchange,
                self.routing_key,
                self.priority,
                self.envelope,
                best_effort=self.is_ephemeral,
            )
        else:
            layer.send(self.routing_key, self.priority, self.envelope)


class Ledger(Protocol):
    """Keeps task messages and decides which copy of each may run."""

    @property
    def is_durable(self) -> bool:
        """Whether messages outlive the layer, so that publishing need not wait for it."""

    @property
    def patience(self) -> float:
        """Seconds for which a worker that has half of its window at hand may wait until it asks for
        the rest: to claim one message takes almost as long as to claim many.
        """

    def record(self, message: Outgoing, layer: TaskLayer) -> bool:
        """Keep a message that is being published; tell whether the ledger will send it.

        Raises:
            Exception: it could not be kept; it must not be sent then, and the publisher is told.
        """

    def claim(self, broker: str, envelopes: Sequence[Envelope]) -> list[bool]:
        """Tell for each message taken from the layer whether this process may run it.

        Raises:
            LedgerUnavailable: that is not known now; ask again later.
        """

    def hand_back(self, envelope: Envelope) -> bool:
        """Give up a claim; tell whether the message is to be put back into its queue.

        What the ledger added to the message when it was claimed is gone afterwards.
        """

    def reject(self, envelope: Envelope) -> None:
        """Learn that a message was refused for good."""


class NoLedger:
    """Keeps nothing: every message is sent at once, and every copy may run."""

    is_durable = False
    patience = 0.0

    def record(self, message: Outgoing, layer: TaskLayer) -> bool:
        """Leave the message to the transport."""
        return False

    def claim(self, broker: str, envelopes: Sequence[Envelope]) -> list[bool]:
        """Let every message run."""
        return [True] * len(envelopes)

    def hand_back(self, envelope: Envelope) -> bool:
        """Let the message go back."""
        return True

    def reject(self, envelope: Envelope) -> None:
        """Nothing is to be noted."""


_ledger: Ledger = NoLedger()


def current_ledger() -> Ledger:
    """Return the ledger of this process."""
    return _ledger


def use_ledger(ledger: Ledger) -> None:
    """Make ``ledger`` the one of this process, for connections made from now on."""
    global _ledger
    _ledger = ledger
