"""The states of a task and the transitions between them, as plain data.

People read the state; the ownership columns decide. ``cq_compat.mirror`` writes each transition as
one guarded UPDATE whose row count is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from celery import states

PENDING = states.PENDING
RECEIVED = states.RECEIVED
STARTED = states.STARTED
RETRY = states.RETRY
SUCCESS = states.SUCCESS
FAILURE = states.FAILURE
REVOKED = states.REVOKED
REJECTED = states.REJECTED
IGNORED = states.IGNORED
#: A parent whose body has ended and whose subtasks have not.
WAITING = "WAITING"

#: States in which a task stays until an operator runs it again.
FINISHED = frozenset({SUCCESS, FAILURE, REVOKED, REJECTED, IGNORED})
#: Those of them that are an outcome.
SETTLED = FINISHED - {IGNORED}


@dataclass(frozen=True)
class Transition:
    """A change of a task's row.

    Args:
        to: the new state; ``None`` leaves it.
        by: who writes it.
        guard: what must hold; otherwise no row changes and the event is ignored.
    """

    to: str | None
    by: str
    guard: str


#: Every change that a row can see, by the name of the verb in ``cq_compat.mirror``.
TRANSITIONS: dict[str, Transition] = {
    "record": Transition(PENDING, "publisher, in the caller's transaction", "no row of that id"),
    "rerun": Transition(PENDING, "the running task", "fence, run, not finished; run + 1"),
    "republish": Transition(PENDING, "whoever has its id", "not settled or never sent; run + 1"),
    "store": Transition(None, "whoever has its id", "not settled"),
    "mark_sent": Transition(
        None, "publisher or keeper, after the send", "run, no owner, not claimed since"
    ),
    "claim": Transition(
        RECEIVED, "worker", "run, no owner, not finished, not WAITING or held, lease; fence + 1"
    ),
    "start": Transition(STARTED, "pool child, before the body", "fence, owner, lease, RECEIVED"),
    "watch": Transition(None, "whoever waits for the result", "not finished"),
    "progress": Transition(None, "pool child", "fence, run, not finished"),
    "tell": Transition(None, "pool child, beside the body", "fence"),
    "finish": Transition(SUCCESS, "pool child or worker", "fence, run, not finished"),
    "wait": Transition(WAITING, "pool child", "fence, run, not finished; fence + 1"),
    "give_way": Transition(
        WAITING, "pool child, after replace()", "fence, run; IGNORED if nobody waits"
    ),
    "complete": Transition(
        None, "whoever ended the last subtask, keeper", "WAITING, no unfinished subtask; fence + 1"
    ),
    "join": Transition(None, "the running task", "a subtask from now on"),
    "release": Transition(None, "whoever ended the previous task, keeper", "held, not finished"),
    "give_up": Transition(
        None, "whoever ended the previous task, keeper", "held, not finished; fence + 1"
    ),
    "drop": Transition(None, "whoever ended the previous task, keeper", "held; the row is deleted"),
    "put_off": Transition(RECEIVED, "pool child, after Reject", "fence, owner, not finished"),
    "hand_back": Transition(PENDING, "worker", "fence, owner, not begun or late; unsent"),
    "die": Transition(None, "worker", "fence, owner, begun, last death; fence + 1"),
    "reap": Transition(PENDING, "keeper", "the owner's lease is over; fence + 1"),
    "bury": Transition(FAILURE, "keeper", "the owner's lease is over; fence + 1"),
    "revoke": Transition(REVOKED, "worker, keeper, operator", "not finished; fence + 1"),
    "observe": Transition(None, "observer, on other brokers", "run, no owner, not settled, later"),
    "leave": Transition(
        None, "pool child, to another broker", "fence, run, not finished; both + 1"
    ),
    "move": Transition(
        None, "operator, to another broker", "run, no owner, not finished; both + 1"
    ),
    "rejoin": Transition(RETRY, "a body on another broker", "not finished, fewer retries; run + 1"),
    "adopt": Transition(None, "worker, of another's message", "no message, no owner, not finished"),
    "requeue": Transition(PENDING, "operator", "finished; run + 1"),
}
