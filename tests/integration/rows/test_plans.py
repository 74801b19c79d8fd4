"""Ten million finished tasks slow nothing: no statement reads the whole table.

Every statement that workers, keepers, operators and the admin run is explained by PostgreSQL, over
a table of which one in a hundred is not finished.
"""

from collections.abc import Iterator

import pytest
from django.db import connections
from django.test import Client

from cq_compat import pruning, recovery, states
from cq_compat.clock import Now
from cq_compat.lease import Lease
from cq_compat.links import Link
from cq_compat.mirror import FamilyMirror, KeepingMirror, Outcome, Route, WorkingMirror
from cq_compat.models import Task, Worker
from cq_compat.operations import forget, requeue, retry, revoke
from cq_compat.retention import Rule
from cq_compat.status import status
from tests.conformance.rows.messages import BROKER, record
from tests.integration.rows.plans import Recorder, WatchedConnection, scans
from tests.integration.rows.table import ROWS, fill

LIST, WORKERS = "/admin/cq/task/", "/admin/cq/worker/"
DAY = 86_400.0


@pytest.fixture(scope="module")
def lease(database: str) -> Iterator[Lease]:
    """A worker's lease, and the full table."""
    Task.objects.all().delete()
    lease = Lease("w1@test", BROKER)
    lease.renew()
    fill(database, lease.owner)
    lease.renew()  # to fill a table may take longer than a lease lasts
    yield lease
    lease.connection.close()
    with connections[database].cursor() as cursor:
        cursor.execute("TRUNCATE cq_task, cq_worker")


@pytest.fixture
def watched() -> Iterator[WatchedConnection]:
    connection = WatchedConnection()
    yield connection
    connection.close()


def test_workers_and_keepers(database: str, lease: Lease, watched: WatchedConnection) -> None:
    lease.renew()
    made = [record() for _ in range(20)]
    working, keeping = WorkingMirror(watched), KeepingMirror(watched)
    for one in made:
        assert keeping.record(one)
    keeping.mark_sent([(one.id, 0) for one in made])
    found = working.claim([(one.id, 0) for one in made], lease.owner, lease.hostname)
    held = {claim.task_id: claim for claim in found}
    claims = [held[one.id] for one in made]
    for claim in claims[:3]:
        assert working.start(claim, acks_late=False)
    assert working.progress(claims[0], Outcome("PROGRESS", "{}", "application/json"))
    assert working.finish(claims[0], Outcome(states.SUCCESS, "{}", "application/json"))
    assert working.settle(claims[1], states.IGNORED)
    assert keeping.rerun(made[2], claims[2], states.RETRY) == 1
    assert working.hand_back(claims[3], max_deaths=3)
    assert keeping.store(made[4].id, Outcome(states.FAILURE))
    full = [Route("", "mail", 0)]
    assert (keeping.due_in(BROKER, full) or 0.0) < 0.0
    with watched.transaction():
        assert keeping.due(BROKER, 200, full)
    assert keeping.waits(BROKER, 5)
    keeping.unsend_route(BROKER, Route("", "celery", 0), 5)
    keeping.unsend_lost(BROKER)
    keeping.dead_workers()
    keeping.expired(100)
    watched.execute("UPDATE cq_worker SET lease_until = started_at", [])
    with watched.transaction():
        assert keeping.orphans(100)
    lease.renew()

    assert len(watched.statements) > 30
    assert scans(database, watched.statements) == []


def test_families(database: str, lease: Lease, watched: WatchedConnection) -> None:
    lease.renew()
    working, keeping, mirror = WorkingMirror(watched), KeepingMirror(watched), FamilyMirror(watched)
    parent, early = record(), record()
    link = Link(subtask_of=parent.id)
    others = [record(**link.headers()), record(**Link(previous_id=early.id).headers())]
    claims = {}
    for one in (parent, early, *others):
        assert keeping.record(one)
        for claim in working.claim([(one.id, 0)], lease.owner, lease.hostname):
            assert working.start(claim, acks_late=False)
            claims[one.id] = claim

    assert working.finish(claims[parent.id], Outcome(states.SUCCESS))
    assert mirror.ready(parent.id) is None
    assert set(mirror.members([parent.id, early.id])) == {one.id for one in others}
    assert working.give_way(claims[early.id])
    with watched.transaction():
        assert working.finish(claims[others[0].id], Outcome(states.FAILURE))
        ready = mirror.ready(parent.id)
        assert ready is not None
        assert mirror.failed(ready, 5) and mirror.count(ready) == (1, 1)
        assert mirror.complete(ready, Outcome(states.SUCCESS))
    (held,) = mirror.held(early.id, 10)
    assert mirror.previous(early.id) and not mirror.drop(held)
    assert mirror.join(early.id, parent.id)
    assert mirror.stranded_parents(0.0, 10) == mirror.stranded_next(0.0, 10) == []
    assert mirror.release(held, held.message, "", is_sent=False)
    assert len(Task(id=parent.id).tree()) == 4

    assert len(watched.statements) > 20
    assert scans(database, watched.statements) == []


def test_operators(
    database: str, lease: Lease, watched: WatchedConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "own_connection", lambda: watched)
    monkeypatch.setattr(recovery, "own_connection", lambda: watched)
    Task.objects.waiting().update(sent_at=Now())
    recorder = Recorder()
    failed = list(Task.objects.failed().values_list("pk", flat=True)[:50])
    with connections[database].execute_wrapper(recorder):
        assert retry(failed) and requeue(failed) == [] and revoke(failed) and forget(failed)
        assert Task.objects.failed().order_by("-created_at")[:10]
        status()
    age = ROWS * 20.0 - DAY  # of the oldest tasks, one day's
    assert pruning.prune([Rule(None, states.FAILURE), Rule(age)], dry_run=True)
    assert recovery.recover(dry_run=True)

    assert scans(database, [*recorder.statements, *watched.statements]) == []


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?p=199",
        *(f"?state={state}" for state in ("unfinished", "waiting", "received", "running")),
        *(f"?state={state}" for state in ("SUCCESS", "FAILURE", "REVOKED", "IGNORED")),
        *("?published=10m", "?published=30d", "?queue=mail", "?queue=rare", "?queue=none"),
        *("?worker=w1@test", "?worker=none", "?state=unfinished&queue=rare"),
        *("?state=FAILURE&queue=mail&published=7d", "?q=resize", "?q=s", "?q=nothing", "?q=live1"),
        *("?parent_id=live1", "?group_id=g7", "?state=parents", "?state=held"),
        *("?periodic_task_name=nightly", "?periodic_task_name=nightly&state=FAILURE"),
    ],
)
def test_lists(database: str, lease: Lease, operator: Client, query: str) -> None:
    recorder = Recorder()
    with connections[database].execute_wrapper(recorder):
        assert operator.get(LIST + query).status_code == 200

    assert scans(database, recorder.statements) == []


def test_pages(database: str, lease: Lease, operator: Client) -> None:
    task = Task.objects.filter(parent_id__isnull=False).latest("created_at")
    worker = Worker.objects.get(pk=lease.owner)
    held = f"{LIST}?owner__id__exact={worker.pk}&state=unfinished"
    recorder = Recorder()
    with connections[database].execute_wrapper(recorder):
        for url in (f"{LIST}{task.pk}/change/", held, WORKERS, f"{WORKERS}{worker.pk}/change/"):
            assert operator.get(url).status_code == 200, url

    assert scans(database, recorder.statements) == []


def test_a_scan_is_seen(database: str, lease: Lease) -> None:
    assert len(scans(database, [("SELECT id FROM cq_task WHERE args = %s", ["x"])])) == 1
