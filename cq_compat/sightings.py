"""What Celery's signals tell about a task that the ledger does not keep.

Sightings come late and out of order: the publisher, the worker and each child of its pool write
their own. The end stays; among other states that of the later attempt counts, and in one attempt
the later state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from cq_compat import states
from cq_compat.mirror.outcomes import Outcome

#: The headers of a message that a row shows.
FACTS = (
    *("task", "argsrepr", "kwargsrepr", "eta", "expires"),
    *("parent_id", "root_id", "group", "periodic_task_name"),
)
#: How far an attempt has come; a state of the task's own is further than any of these.
RANKS = {states.PENDING: 0, states.RETRY: 0, states.RECEIVED: 1, states.STARTED: 2}
BEYOND = 3


class Route(NamedTuple):
    """Where a message was published, or taken from."""

    broker: str = ""
    exchange: str = ""
    queue: str = ""
    priority: int = 0


class Sighting(NamedTuple):
    """A state in which a task was seen.

    Args:
        at: when that was, by this process's monotonic clock, as are the other times.
        run: the run that its message names; ``None`` if the message names none.
        retries: the attempt.
        facts: those of ``FACTS`` that are known.
        is_publish: whether it was seen by its publisher.
        is_anew: whether the attempt begins anew, however far it had come.
    """

    id: str
    outcome: Outcome
    at: float
    run: int | None = None
    retries: int = 0
    facts: Mapping[str, Any] = MappingProxyType({})
    route: Route = Route()
    worker: str = ""
    is_publish: bool = False
    is_anew: bool = False
    received_at: float | None = None
    started_at: float | None = None

    @property
    def state(self) -> str:
        """The state."""
        return self.outcome.state

    @property
    def is_finished(self) -> bool:
        """Whether the task has ended."""
        return self.state in states.FINISHED

    @property
    def is_settled(self) -> bool:
        """Whether the task has ended for good."""
        return self.state in states.SETTLED

    @property
    def is_decisive(self) -> bool:
        """Whether it counts, whatever was seen before that was not the end for good."""
        return self.is_finished or self.is_anew

    @property
    def rank(self) -> int:
        """How far the attempt has come."""
        return RANKS.get(self.state, BEYOND)

    @property
    def weight(self) -> int:
        """What it costs to keep in memory: one, and one more for each 1,000 characters."""
        return 1 + (len(self.outcome.result or "") + len(self.outcome.traceback or "")) // 1000

    def follows(self, other: Sighting) -> bool:
        """Tell whether this state replaces ``other``."""
        if other.is_finished or self.is_decisive:
            return self.is_decisive and not other.is_settled
        return (self.retries, self.rank) >= (other.retries, other.rank)


def facts_of(headers: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a row shows of a message's headers."""
    return {key: headers[key] for key in FACTS if headers.get(key) is not None}


def fold(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Make one sighting of all of the same task and run, in the order of their ids."""
    folded: dict[tuple[str, int], Sighting] = {}
    for seen in sightings:
        key = (seen.id, -1 if seen.run is None else seen.run)
        known = folded.get(key)
        folded[key] = seen if known is None else _join(known, seen)
    return [folded[key] for key in sorted(folded)]


def _join(known: Sighting, seen: Sighting) -> Sighting:
    last = seen if seen.follows(known) else known
    return last._replace(
        facts={**seen.facts, **known.facts},
        route=known.route if known.route.queue else seen.route,
        worker=last.worker or known.worker or seen.worker,
        is_publish=known.is_publish or seen.is_publish,
        is_anew=not last.is_finished and (known.is_anew or seen.is_anew),
        received_at=known.received_at or seen.received_at,
        started_at=seen.started_at or known.started_at,
    )
