"""What each signal tells.

A message that the ledger has taken is the ledger's to keep: it carries the ledger's header from its
publisher to the end of its task, so each message says for itself, whatever brokers a process uses.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Any

from celery import current_task
from celery.exceptions import NotRegistered, TaskRevokedError

from cq_compat import states
from cq_compat.batching import EXIT_TIMEOUT
from cq_compat.conf import conf
from cq_compat.database import OwnConnection, own_connection
from cq_compat.guards import claim_of
from cq_compat.keeper.heartbeat import Heartbeat
from cq_compat.lease import Lease
from cq_compat.ledger import ledger
from cq_compat.mirror import Outcome, WorkingMirror
from cq_compat.observing.outcomes import error_outcome, result_outcome
from cq_compat.observing.routes import brokers, brokers_of, is_broadcast, route_of
from cq_compat.observing.writer import Writer
from cq_compat.records import HEADER
from cq_compat.sightings import Sighting, facts_of


class Observer:
    """Turns signals into sightings; may be called for tasks of the ledger, and is silent then.

    Args:
        writer: takes the sightings.
    """

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._lease: Lease | None = None
        #: Tasks that have published themselves anew and have not returned yet.
        self._republished: set[str] = set()

    # Publishers

    def publishing(self, headers: dict[str, Any]) -> None:
        """Take off what a task's message has handed down to the next: it is not that one's."""
        headers.pop(HEADER, None)

    def published(self, headers: Mapping[str, Any], body: Any, exchange: Any, queue: Any) -> None:
        """See a message that a broker has accepted."""
        facts = headers if "id" in headers else body  # of the first protocol, its body
        if HEADER in headers or not isinstance(facts, Mapping) or is_broadcast(exchange):
            return
        task_id, retries = str(facts["id"]), facts.get("retries") or 0
        nesting = facts.get("replaced_task_nesting") or 0
        state = states.RETRY if retries else states.PENDING
        seen = Sighting(
            task_id,
            Outcome(state),
            monotonic(),
            retries=retries,
            facts=facts_of(facts),
            route=route_of(brokers().write, exchange, queue),
            is_publish=True,
            is_anew=nesting > 0,
        )
        request = getattr(current_task, "request", None)
        if request is not None and request.id == task_id and not request.is_eager:
            self._republish(request, seen._replace(is_anew=nesting > request.replaced_task_nesting))
        else:
            self._writer.put(seen)

    def _republish(self, request: Any, seen: Sighting) -> None:
        self._republished.add(seen.id)
        claim = claim_of(request)
        if claim is not None:  # this worker's broker is the ledger's, the next one's is another
            WorkingMirror(own_connection()).leave(claim, seen.state, seen.retries)
            seen = seen._replace(route=seen.route._replace(broker=""))
        self._writer.put(seen._replace(is_publish=False))

    # Workers

    def received(self, request: Any) -> None:
        """See a message that a worker has taken."""
        headers = request.request_dict
        if _is_observed(headers):
            self._see(headers, states.RECEIVED, received_at=monotonic())

    def started(self, request: Any) -> None:
        """See a body that is about to begin."""
        if _is_run(request):
            self._see(vars(request), states.STARTED, started_at=monotonic())

    def succeeded(self, task: Any, result: Any) -> None:
        """See what a body has returned."""
        if _is_run(task.request):
            self._see(vars(task.request), result_outcome(task, result))

    def retried(self, task: Any, request: Any, reason: Any, einfo: Any) -> None:
        """See a task that will run once more; its message was seen before."""
        if _is_run(request) and einfo is not None:
            outcome = error_outcome(task, states.RETRY, reason.exc, einfo)
            self._see(vars(request), outcome, retries=request.retries + 1)

    def failed(self, task: Any, task_id: str, exception: Any, einfo: Any) -> None:
        """See an error that ends a task, or the loss of the process that ran it."""
        request = task.request
        if request.id != task_id:  # of a worker's main process, which may know no more than the id
            if self._lease is not None:
                outcome = error_outcome(task, states.FAILURE, exception, einfo)
                self._writer.put(
                    Sighting(task_id, outcome, monotonic(), worker=self._lease.hostname)
                )
        elif _is_run(request):
            outcome = error_outcome(task, states.FAILURE, exception, einfo)
            self._see(vars(request), outcome)

    def revoked(self, task: Any, request: Any, *, terminated: bool, expired: bool) -> None:
        """See a task that was revoked, terminated, or came too late."""
        if _is_run(request):
            reason = "expired" if expired else "terminated" if terminated else "revoked"
            error = TaskRevokedError(reason)
            outcome = error_outcome(task, states.REVOKED, error, None)
            self._see(vars(request), outcome)

    def returned(self, task: Any, state: Any, retval: Any) -> None:
        """See a task that has ended without an outcome."""
        request = task.request
        if not _is_run(request):
            return
        is_republished = request.id in self._republished
        self._republished.discard(request.id)
        if state == states.REJECTED and retval.requeue:
            self._see(vars(request), states.PENDING, is_anew=True)
        elif state in (states.IGNORED, states.REJECTED) and not is_republished:
            self._see(vars(request), state)

    def unknown(self, message: Any, name: str) -> None:
        """See a message that no task of the worker is for."""
        headers = {**message.headers, "delivery_info": message.delivery_info}
        if _is_observed(headers) and headers.get("id"):
            outcome = error_outcome(None, states.FAILURE, NotRegistered(name), None)
            self._see({"task": name, **headers}, outcome)

    def refused(self, message: Any) -> None:
        """See a message that a worker could not read as a task."""
        headers = {**message.headers, "delivery_info": message.delivery_info}
        if _is_observed(headers) and headers.get("id"):
            self._see(headers, states.REJECTED)

    def _see(self, headers: Mapping[str, Any], outcome: Outcome | str, **more: Any) -> None:
        header = headers.get(HEADER)
        seen = {
            "run": header["run"] if header else None,
            "retries": headers.get("retries") or 0,
            "worker": headers.get("hostname") or "",
            **more,
        }
        self._writer.put(
            Sighting(
                str(headers["id"]),
                Outcome(outcome) if isinstance(outcome, str) else outcome,
                monotonic(),
                facts=facts_of(headers),
                route=_route(headers),
                **seen,
            )
        )

    # The process' life

    def flush(self, timeout: float) -> bool:
        """Wait until all that was seen is written, unless the database is away; tell whether it
        is.
        """
        return self._writer.flush(timeout)

    def close(self) -> None:
        """Begin anew with what is seen next."""
        self._writer.close()
        self._republished.clear()

    def begin_worker(self, consumer: Any) -> None:
        """Keep the row of a worker without the ledger alive."""
        if conf().MIRROR and ledger.lease is None and self._lease is None:
            self._lease = Lease(consumer.hostname, brokers_of(consumer.app).read)
            self._writer.look_after(Heartbeat(self._lease))

    def end_worker(self) -> None:
        """Say that the worker has ended."""
        lease, self._lease = self._lease, None
        if lease is not None:
            self._writer.look_after(None)
            if self._writer.flush(EXIT_TIMEOUT):
                lease.end()


def _is_observed(headers: Mapping[str, Any]) -> bool:
    # Claimed by the ledger, or, with an empty header, a broadcast.
    header = headers.get(HEADER)
    if header is not None and (not header or "fence" in header):
        return False
    return not is_broadcast((headers.get("delivery_info") or {}).get("exchange"))


def _is_run(request: Any) -> bool:
    return request.id is not None and not request.is_eager and _is_observed(vars(request))


def _route(headers: Mapping[str, Any]) -> Any:
    info = headers.get("delivery_info") or {}
    return route_of(
        brokers().read, info.get("exchange"), info.get("routing_key"), info.get("priority")
    )


observer = Observer(Writer(OwnConnection()))
