"""The durable ledger: a task message is a row before it is sent; the row decides who runs it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from celery import current_app, current_task
from django.db import Error as DjangoDatabaseError
from kombu.log import get_logger

from cq_compat import states
from cq_compat.burial import bury
from cq_compat.conf import conf
from cq_compat.database import LOST, Connection, own_connection, publishing_connection
from cq_compat.errors import DatabaseUnavailable
from cq_compat.gathering import current_batch
from cq_compat.lease import Lease
from cq_compat.mirror import Claim, Outcome, PublishingMirror, WorkingMirror
from cq_compat.native.departing import is_replacing
from cq_compat.persistence import persist
from cq_compat.recording import Publication, record_one
from cq_compat.records import HEADER, is_kept, is_task, record_of, run_of
from cq_compat.refusals import tell_claims
from cq_transport.envelope import Envelope, to_text
from cq_transport.errors import LedgerUnavailable
from cq_transport.layers.base import TaskLayer
from cq_transport.ledger import Outgoing

logger = get_logger(__name__)


class RowLedger:
    """Keeps task messages in ``cq_compat.models.Task``."""

    is_durable = True

    def __init__(self) -> None:
        #: The lease of the worker that this process is, if it is one.
        self.lease: Lease | None = None
        #: Seconds for which that worker waits until it claims the rest of its window.
        self.patience = 0.0
        self._may_own_unheard = False

    # Publishing

    def record(self, message: Outgoing, layer: TaskLayer) -> bool:
        """Make a row of a task message, in the caller's transaction, and send it on commit.

        Raises:
            DatabaseUnavailable: there is no row, and nothing was sent.
        """
        if not is_task(message.envelope):
            return False
        headers = message.envelope["headers"]
        if _is_broadcast(message, layer):
            headers[HEADER] = {}
            return False
        headers.pop(HEADER, None)
        try:
            return self._record(message, layer)
        except LOST as exc:
            if conf().ON_DATABASE_DOWN == "publish":
                logger.error("Task %s is published without a row: %s", _name(message), exc)
                return False
            raise DatabaseUnavailable(
                f"Task {_name(message)} was not accepted: the database does not answer ({exc})."
            ) from exc

    def _record(self, message: Outgoing, layer: TaskLayer) -> bool:
        publication = Publication.of(message, layer)
        connection = _connection_for(publication.record.id)
        batch = current_batch()
        if batch is not None and batch.takes(connection, publication):
            batch.add(publication)
            return True
        return record_one(connection, publication)

    # Consuming

    def claim(self, broker: str, envelopes: Sequence[Envelope]) -> list[bool]:
        """Claim the rows of task messages; other messages may always be had.

        Raises:
            LedgerUnavailable: the database does not answer, or the lease is not safe.
        """
        lease = self.lease
        tasks = [found for found in envelopes if is_kept(found)]
        if lease is None or not tasks:
            return [True] * len(envelopes)
        try:
            if not lease.is_safe:
                lease.renew()
            claims = self._claim(lease, broker, tasks)
        except DjangoDatabaseError as exc:
            self._may_own_unheard = True
            own_connection().close()
            raise LedgerUnavailable(f"the tasks' database does not answer: {exc}") from exc
        self._may_own_unheard = False
        answers = [not is_kept(found) or _stamp(found, claims) for found in envelopes]
        tell_claims(envelopes, answers)
        return answers

    def _claim(self, lease: Lease, broker: str, tasks: list[Envelope]) -> dict[str, Claim]:
        mirror = WorkingMirror(own_connection())
        unknown = [found for found in tasks if HEADER not in found["headers"]]
        if unknown:
            self._adopt(broker, unknown)
        wanted = [(str(found["headers"]["id"]), run_of(found)) for found in tasks]
        again = self._may_own_unheard
        claims = mirror.claim(wanted, lease.owner, lease.hostname, again=again)
        return {claim.task_id: claim for claim in claims}

    def _adopt(self, broker: str, envelopes: list[Envelope]) -> None:
        mirror = PublishingMirror(own_connection())
        for envelope in envelopes:
            info = envelope["properties"].get("delivery_info") or {}
            foreign = Outgoing(
                broker,
                info.get("exchange") or "",
                info.get("routing_key") or "",
                int(envelope["properties"].get("priority") or 0),
                envelope,
            )
            mirror.adopt(record_of(foreign))

    def hand_back(self, envelope: Envelope) -> bool:
        """Give up the claim on a message; tell whether it may run elsewhere. A task whose body has
        died too often ends here.
        """
        claim = _unstamp(envelope)
        if claim is None:
            return True
        give = partial(self._hand_back, claim, envelope)
        try:
            return give() if _is_stopping() else persist(give)
        except LOST as exc:
            logger.warning("Task %s stays with this worker's lease: %s", claim.task_id, exc)
            return False

    def _hand_back(self, claim: Claim, envelope: Envelope) -> bool:
        mirror, most = WorkingMirror(own_connection()), conf().MAX_DEATHS
        if mirror.hand_back(claim, most):
            return True
        last = mirror.die(claim, most)
        if last is not None:
            bury(current_app, last, to_text(envelope), self.lease.hostname if self.lease else "")
        return False

    def reject(self, envelope: Envelope) -> None:
        """End the task of a message that was refused for good."""
        claim = _unstamp(envelope)
        if claim is not None:
            persist(partial(_reject, claim))


def _reject(claim: Claim) -> bool:
    return WorkingMirror(own_connection()).finish(claim, Outcome(states.REJECTED))


def _connection_for(task_id: str) -> Connection:
    # What a task says of itself must not depend on its transaction, which retry() may undo.
    request = getattr(current_task, "request", None)
    is_of_itself = request is not None and request.id == task_id and not is_replacing(request)
    return own_connection() if is_of_itself else publishing_connection()


def _is_stopping() -> bool:
    # A worker that stops does not wait for the database: its lease ends, others see to the rest.
    from celery.worker import state as worker_state  # publishers need not load the worker

    return worker_state.should_stop is not None or worker_state.should_terminate is not None


def _is_broadcast(message: Outgoing, layer: TaskLayer) -> bool:
    # Every worker runs its own copy, so no single row could tell what became of it.
    return bool(message.exchange) and layer.topology.exchanges.get(message.exchange) == "fanout"


def _stamp(envelope: Envelope, claims: dict[str, Claim]) -> bool:
    # The first copy takes the claim; another one in the same batch is refused.
    claim = claims.get(str(envelope["headers"]["id"]))
    if claim is None or claim.run != run_of(envelope):
        return False
    envelope["headers"][HEADER] = claims.pop(claim.task_id).header()
    return True


def _unstamp(envelope: Envelope) -> Claim | None:
    headers = envelope["headers"]
    claim = Claim.read(str(headers.get("id")), headers.get(HEADER))
    if claim is not None:
        headers[HEADER] = {"run": claim.run}
    return claim


def _name(message: Outgoing) -> str:
    headers: dict[str, Any] = message.envelope["headers"]
    return f"{headers['task']}[{headers['id']}]"


ledger = RowLedger()
