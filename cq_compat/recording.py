"""Makes rows of messages that are being published, and sees to what follows their commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic

from celery import current_task
from django.db import IntegrityError
from kombu.log import get_logger

from cq_compat import states
from cq_compat.conf import conf
from cq_compat.database import Connection
from cq_compat.mirror import Claim, PublishingMirror
from cq_compat.outbox import Waiting, outbox
from cq_compat.records import HEADER, PUBLISHER_TIME, Record, record_of
from cq_compat.signals import facts_of, task_recorded
from cq_transport.layers.base import TaskLayer
from cq_transport.ledger import Outgoing

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Publication:
    """A task message that somebody publishes.

    Args:
        at: when, by this process' clock.
    """

    record: Record
    message: Outgoing
    layer: TaskLayer
    at: float = field(default_factory=monotonic)

    @classmethod
    def of(cls, message: Outgoing, layer: TaskLayer) -> Publication:
        """Read a message.

        Raises:
            ValueError: its times are no times.
        """
        return cls(record_of(message), message, layer)

    @property
    def is_sent_on_commit(self) -> bool:
        """Whether it waits for the commit of its row, or longer."""
        return conf().SEND_ON_COMMIT or self.record.waits


def record_one(connection: Connection, publication: Publication) -> bool:
    """Make a row; tell whether the message is sent from here, or by nobody."""
    record = publication.record
    mirror = PublishingMirror(connection)
    run: int | None = 0
    is_new = mirror.record(record, sent=not publication.is_sent_on_commit)
    if not is_new:
        run = _rerun(mirror, record)
    if run is None:
        publication.message.envelope["headers"][HEADER] = {}  # nobody else is to keep it either
        logger.warning(
            "Task %s[%s] was published before; this copy is dropped.", record.name, record.id
        )
        return True
    return _follow(connection, publication, run, is_new=is_new)


def record_all(connection: Connection, publications: Sequence[Publication]) -> None:
    """Make rows of messages that wait for their commit, many by one statement."""
    mirror = PublishingMirror(connection)
    try:
        with connection.transaction():
            mirror.record_all([_by_now(found) for found in publications])
    except IntegrityError:  # there is a row of one of them
        for found in publications:
            record_one(connection, found)
        return
    for found in publications:
        _follow(connection, found, 0, is_new=True)


def _by_now(publication: Publication) -> Record:
    record = publication.record
    if not record.waits:
        return record
    left = record.delay - (monotonic() - publication.at)
    return replace(record, delay=max(left, PUBLISHER_TIME))


def _rerun(mirror: PublishingMirror, record: Record) -> int | None:
    # A task that publishes its own id anew, by retry() or replace(), runs once more.
    request = getattr(current_task, "request", None)
    if request is None or request.id != record.id:
        return mirror.republish(record)
    claim = Claim.read(record.id, request.get(HEADER))
    if claim is None:  # it came by another broker, and goes on by this one
        return mirror.rejoin(record) or mirror.republish(record)
    state = states.RETRY if record.retries > (request.retries or 0) else states.PENDING
    return mirror.rerun(record, claim, state)


def _follow(connection: Connection, publication: Publication, run: int, *, is_new: bool) -> bool:
    record, message = publication.record, publication.message
    message.envelope["headers"][HEADER] = {"run": run}
    if task_recorded.is_heard:
        connection.on_commit(partial(task_recorded.tell, **facts_of(message.envelope)))
    if is_new and record.link.previous_id is not None:
        # It may have ended already.
        connection.on_commit(partial(_go_on, record.link.previous_id))
        return True
    if publication.is_sent_on_commit and not record.waits:
        waiting = Waiting(record.id, run, message, publication.layer)
        connection.on_commit(partial(outbox.put, waiting))
    return publication.is_sent_on_commit


def _go_on(previous_id: str) -> None:
    from cq_compat.native.following import go_on_after

    go_on_after(previous_id)
