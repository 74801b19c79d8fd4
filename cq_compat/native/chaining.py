"""Lets tasks go on that were chained to one that has ended."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.exceptions import TaskRevokedError
from celery.utils.saferepr import saferepr
from kombu.log import get_logger
from kombu.serialization import dumps, loads, registry

from cq_compat import links, states
from cq_compat.backend import CqBackend
from cq_compat.database import LOST, own_connection
from cq_compat.encoding import decode_text, storable
from cq_compat.errors import PreviousFailed
from cq_compat.links import Link
from cq_compat.mirror import Claim, FamilyMirror, Held, Previous
from cq_compat.native.naming import failure_of
from cq_compat.native.ringing import ring, way_to
from cq_compat.records import HEADER
from cq_compat.requests import request_of
from cq_transport.envelope import Envelope, from_text, to_text
from cq_transport.ledger import Outgoing

logger = get_logger(__name__)

#: Chained tasks that are read by one statement.
BATCH = 100


def go_on(app: Celery, previous_id: str) -> int:
    """Send, or end, what is held for a task, if that has ended; return how many those are."""
    mirror = FamilyMirror(own_connection())
    previous = mirror.previous(previous_id)
    if previous is not None and previous.is_open:
        return 0
    chaining = Chaining(app, mirror, previous or _unknown(previous_id))
    decided = 0
    while held := mirror.held(previous_id, BATCH):
        for one in held:
            chaining.decide(one)
        decided += len(held)
    return decided


class Chaining:
    """Decides about the tasks that are held for one that has ended."""

    def __init__(self, app: Celery, mirror: FamilyMirror, previous: Previous) -> None:
        self._app = app
        self._mirror = mirror
        self._previous = previous
        self._backend = CqBackend(app)
        self._succeeded = previous.state == states.SUCCESS

    def decide(self, held: Held) -> None:
        """Send a held task, end it or, if it is an error callback in vain, delete it."""
        if held.runs_after == links.END or self._succeeded == (held.runs_after == links.SUCCESS):
            try:
                self._release(held)
            except LOST:
                raise
            except Exception as exc:  # an unreadable message or result: nobody else reads it
                logger.exception("Task %s[%s] cannot go on", held.name, held.id)
                self._give_up(held, states.FAILURE, exc)
        elif held.runs_after == links.FAILURE:
            self._mirror.drop(held)
        elif self._previous.state == states.REVOKED:
            reason = f"{self._previous.name}[{self._previous.id}] was revoked"
            self._give_up(held, states.REVOKED, TaskRevokedError(reason))
        elif not self._previous.has_outcome:
            self._give_up(held, states.REVOKED, TaskRevokedError(self._reason()))
        else:
            self._give_up(held, states.FAILURE, PreviousFailed(self._reason()))

    def _release(self, held: Held) -> None:
        envelope = from_text(held.message)
        if Link.read(envelope["headers"]).takes_result:
            _insert(envelope, self._result(held))
        layer = way_to(self._app, held.broker) if held.eta is None else None
        args = storable(envelope["headers"].get("argsrepr") or "")
        is_sent = layer is not None
        released = self._mirror.release(held, to_text(envelope), args, is_sent=is_sent)
        if released and layer is not None:
            envelope["headers"][HEADER] = {"run": held.run}
            way = (held.broker, held.exchange, held.queue, held.priority)
            ring(held.id, held.run, Outgoing(*way, envelope), layer)

    def _result(self, held: Held) -> Any:
        if self._succeeded:
            previous = self._previous
            return decode_text(previous.result, previous.content_type, self._backend.accept)
        return self._reason() if held.runs_after == links.FAILURE else None

    def _reason(self) -> str:
        if not self._previous.has_outcome:
            return f"{self._previous.name}[{self._previous.id}] was ignored, and has no result"
        return failure_of(self._backend, self._previous.id, self._previous.name)

    def _give_up(self, held: Held, state: str, error: Exception) -> None:
        outcome = self._backend.outcome_of_error(error, state)
        with self._mirror.connection.transaction():
            end = self._mirror.give_up(held, outcome)
            if end is not None:
                claim = Claim(held.id, held.run, 0, "")  # it has none, and needs none any more
                self._backend.go_on(end, error, request_of(from_text(held.message), claim))


def _unknown(task_id: str) -> Previous:
    return Previous(task_id, "a task without a row", states.FAILURE, None, "", None, None)


def _insert(envelope: Envelope, value: Any) -> None:
    """Put a value in the place of the first argument of a message."""
    kind, encoding = envelope["content-type"], envelope.get("content-encoding")
    args, kwargs, embed = loads(envelope["body"], kind, encoding, accept={kind})
    args = [value, *args[1:]]
    body = dumps((args, kwargs, embed), serializer=registry.type_to_name[kind])
    envelope["content-type"], envelope["content-encoding"], envelope["body"] = body
    envelope["headers"]["argsrepr"] = saferepr(tuple(args), 1024)
