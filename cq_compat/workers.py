"""A worker's life with the ledger."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from celery import bootsteps
from celery import states as celery_states
from celery.exceptions import TaskRevokedError
from django.core.exceptions import ImproperlyConfigured
from kombu.log import get_logger

from cq_compat import states
from cq_compat.conf import conf
from cq_compat.database import own_connection
from cq_compat.guards import claim_of, guard_starts
from cq_compat.keeper import Keeper
from cq_compat.lease import Lease
from cq_compat.ledger import ledger
from cq_compat.mirror import NO_TERMS, Claim, Outcome, Terms, WorkingMirror
from cq_compat.native.departing import Replaced
from cq_compat.native.terms import terms_of
from cq_compat.observing.outcomes import error_outcome
from cq_compat.persistence import persist
from cq_compat.termination import register_command
from cq_transport import current_ledger
from cq_transport.options import SCHEME, Address

logger = get_logger(__name__)

#: Seconds for which a worker that has half of its window at hand waits until it claims the rest.
PATIENCE = 0.008
#: The prefetch multiplier from which on it does: then half of the window is, for every process of
#: the pool, a task that runs and one that waits.
ENOUGH = 4

_keeper: Keeper | None = None


def begin_worker(worker: Any) -> None:
    """Give a worker that consumes from ``channels://`` its lease, and guard its tasks' starts."""
    if current_ledger() is not ledger:
        return
    try:
        conf()
    except ImproperlyConfigured as exc:
        raise SystemExit(f"The worker does not start: {exc}") from exc
    url = next(iter(_urls(worker.app.conf.broker_read_url)), "")
    if url.startswith(f"{SCHEME}:"):
        ledger.lease = Lease(worker.hostname, str(Address.parse(url)))
        ledger.patience = PATIENCE if worker.prefetch_multiplier >= ENOUGH else 0.0
        guard_starts(worker.app)
        worker.app.steps["consumer"].add(Keeping)
        register_command()


class Keeping(bootsteps.StartStopStep):  # type: ignore[misc]
    """Keeps while the worker consumes, be it a process of its own or embedded in another."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, consumer: Any) -> None:
        """Begin to keep; the keeper outlives a lost connection."""
        start_keeper(consumer)


def start_keeper(consumer: Any) -> None:
    """Begin to keep, once the worker is ready."""
    global _keeper
    if ledger.lease is not None and _keeper is None:
        transport = consumer.connection.transport
        _keeper = Keeper(consumer.app, ledger.lease, transport.layer)
        _keeper.start()


def end_worker() -> None:
    """Give up the lease: what the worker has not handed back is for others at once."""
    global _keeper
    keeper, _keeper = _keeper, None
    lease, ledger.lease = ledger.lease, None
    ledger.patience = 0.0
    if keeper is not None:
        keeper.stop()
    if lease is not None:
        try:
            lease.end()
        except Exception as exc:
            logger.warning("The lease could not be given up and runs out by itself: %s", exc)


def settle_task(task: Any, state: Any, retval: Any) -> None:
    """End the row of a task that has ended without an outcome: Celery stores none for ``Ignore``,
    and a backend other than ``cq`` stores it elsewhere.
    """
    claim = claim_of(task.request)
    if claim is None or state in (None, celery_states.RETRY) or isinstance(retval, Replaced):
        return
    if state == celery_states.REJECTED:
        _settle_rejected(task, claim, retval)
    elif state == celery_states.IGNORED:
        _settle_ignored(claim, retval)
    elif not _stores_rows(task):
        persist(partial(_settle, claim, state, terms_of(task.app, task.request, retval)))


def _settle_ignored(claim: Claim, ignore: Any) -> None:
    # Celery says by this text alone that replace() has put others in the task's place.
    if "Replaced by new task" in getattr(ignore, "args", ()):
        persist(partial(_give_way, claim))
    else:
        persist(partial(_settle, claim, states.IGNORED))


def end_failed(task: Any, task_id: str, error: Any, einfo: Any) -> None:
    """End the row of a task that has failed, be it in its body or with the process that ran it,
    where the result backend keeps no rows. What the worker's main process decides reaches it as
    this signal alone.
    """
    if not _stores_rows(task):
        claim = claim_of(task.request) if task.request.id == task_id else None
        outcome = error_outcome(task, states.FAILURE, error, einfo)
        _end(claim, task_id, outcome)


def end_revoked(task: Any, request: Any) -> None:
    """End the row of a task that was revoked, terminated or came too late, likewise."""
    if not _stores_rows(task):
        error = TaskRevokedError("revoked")
        outcome = error_outcome(task, states.REVOKED, error, None)
        _end(claim_of(request), str(request.id), outcome)


def _end(claim: Claim | None, task_id: str, outcome: Outcome) -> None:
    if claim is not None:
        persist(partial(_finish, claim, outcome))
    elif ledger.lease is not None:
        persist(partial(_end_of, ledger.lease.owner, task_id, outcome))


def _finish(claim: Claim, outcome: Outcome) -> bool:
    return WorkingMirror(own_connection()).finish(claim, outcome)


def _end_of(owner: UUID, task_id: str, outcome: Outcome) -> bool:
    return WorkingMirror(own_connection()).end_of(owner, task_id, outcome)


def _settle_rejected(task: Any, claim: Claim, reject: Any) -> None:
    # The worker's main process sees to the message, and so to the row; but a message that was
    # acknowledged before the body cannot go back.
    if task.acks_late:
        persist(partial(_put_off, claim))
    elif getattr(reject, "requeue", False):
        persist(partial(_settle, claim, celery_states.REJECTED))


def _put_off(claim: Claim) -> bool:
    return WorkingMirror(own_connection()).put_off(claim)


def _give_way(claim: Claim) -> bool:
    return WorkingMirror(own_connection()).give_way(claim)


def _settle(claim: Claim, state: str, terms: Terms = NO_TERMS) -> bool:
    return WorkingMirror(own_connection()).settle(claim, state, terms)


def _stores_rows(task: Any) -> bool:
    from cq_compat.backend import CqBackend

    return isinstance(task.backend, CqBackend)


def _urls(urls: Any) -> list[str]:
    return urls.split(";") if isinstance(urls, str) else list(urls or ())
