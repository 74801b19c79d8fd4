"""The result backend: what is stored is read again, by every serializer."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, states
from celery.app.task import Context
from celery.exceptions import ChordError, TaskRevokedError, TimeoutError
from celery.result import GroupResult
from celery.utils.functional import regen
from django.db import transaction

from cq_compat import chords, waiting, walk
from cq_compat.backend import CqBackend
from cq_compat.database import CallersConnection, own_connection
from cq_compat.dialects import dialect_of
from cq_compat.encoding import encode_text
from cq_compat.lease import Lease
from cq_compat.mirror import KeepingMirror, Outcome, PublishingMirror, WorkingMirror
from cq_compat.records import HEADER
from tests.conformance.rows.messages import claimed, record, row
from tests.servers.waiting import wait_until

SERIALIZERS = ("json", "pickle", "yaml", "msgpack")
#: Values that each serializer gives back as they were.
VALUES = (
    None,
    True,
    0,
    -1.5,
    "",
    "é — 漢字 🐘",
    "a\0b",
    [1, [2]],
    {"a": {"b": None}},
    "x" * 70_000,
)


@pytest.fixture
def app() -> Iterator[Celery]:
    with Celery("rows", set_as_current=False) as app:
        app.conf.update(
            broker_url="memory://",
            task_default_queue=str(uuid4()),
            result_backend="cq",
            result_accept_content=list(SERIALIZERS),
        )
        yield app


@pytest.fixture
def cq(app: Celery, database: str) -> CqBackend:
    found: CqBackend = app.backend
    return found


@pytest.fixture
def make_request(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> Callable[..., Context]:
    """Make the request of a task that a worker has claimed."""

    def make(*, headers: dict[str, Any] | None = None, **request: Any) -> Context:
        claim = claimed(publishing, working, lease, **(headers or {}))
        known = {"id": claim.task_id, HEADER: claim.header(), "delivery_info": {}, "errbacks": None}
        return Context({**known, **request})

    return make


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_values(
    app: Celery, database: str, make_request: Callable[..., Context], serializer: str
) -> None:
    backend = CqBackend(app, serializer=serializer)
    for value in VALUES:
        request = make_request()
        request.children.append(app.AsyncResult("child", parent=app.AsyncResult("p")))
        backend.mark_as_done(request.id, value, request)

        meta = backend.get_task_meta(request.id, cache=False)
        assert (meta["status"], meta["result"]) == (states.SUCCESS, value)
        result = app.AsyncResult(request.id, backend=backend)
        assert [(child.id, child.parent.id) for child in result.children or ()] == [("child", "p")]


@pytest.mark.parametrize("serializer", SERIALIZERS)
def test_errors(
    app: Celery, database: str, make_request: Callable[..., Context], serializer: str
) -> None:
    backend, request = CqBackend(app, serializer=serializer), make_request()

    backend.mark_as_failure(request.id, KeyError("key", 1), "Traceback \0 \ud800", request)

    result = app.AsyncResult(request.id, backend=backend)
    with pytest.raises(KeyError, match="'key', 1"):
        result.get(timeout=5)
    assert (result.failed(), result.traceback) == (True, "Traceback \\0 \\ud800")


def test_results_are_read_by_any_serializer(app: Celery, database: str) -> None:
    CqBackend(app, serializer="msgpack").store_result("written", b"\0\xff", states.SUCCESS)

    assert app.AsyncResult("written").get(timeout=5) == b"\0\xff"


def test_the_end_is_a_time_in_utc(app: Celery, cq: CqBackend) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    cq.store_result("done", 1, states.SUCCESS)

    done = app.AsyncResult("done").date_done
    assert before <= done <= datetime.now(timezone.utc) and done.utcoffset().total_seconds() == 0


def test_extended_results_have_what_was_asked_for(
    app: Celery, make_request: Callable[..., Context]
) -> None:
    app.conf.result_extended = True
    stamps = {"stamped_headers": ["tenant"], "stamps": {"tenant": ["blue"]}}
    request = make_request(headers={"retries": 2, **stamps})

    CqBackend(app).mark_as_done(request.id, 3, request)

    meta = CqBackend(app).get_task_meta(request.id)
    assert (meta["name"], meta["args"], meta["kwargs"]) == ("tests.add", [1, 2], {})
    assert (meta["worker"], meta["retries"], meta["queue"]) == ("w1@test", 2, "celery")
    assert (meta["stamped_headers"], meta["tenant"]) == (["tenant"], ["blue"])


def test_a_task_that_waits_is_known(
    app: Celery, cq: CqBackend, publishing: PublishingMirror
) -> None:
    made = record()
    publishing.record(made)

    assert [app.AsyncResult(each).state for each in (made.id, "unknown")] == [states.PENDING] * 2
    assert [cq.task_result_exists(each) for each in (made.id, "unknown")] == [True, False]


def test_progress(cq: CqBackend, make_request: Callable[..., Context]) -> None:
    request = make_request()

    cq.store_result(request.id, {"percent": 50}, "PROGRESS", request=request)

    meta = cq.get_task_meta(request.id)
    assert (meta["status"], meta["result"]) == ("PROGRESS", {"percent": 50})
    with pytest.raises(TimeoutError):
        cq.wait_for(request.id, timeout=0)


def test_retry(cq: CqBackend, make_request: Callable[..., Context]) -> None:
    request = make_request()

    cq.mark_as_retry(request.id, ValueError("again"), "Traceback", request)

    meta = cq.get_task_meta(request.id)
    assert (meta["status"], repr(meta["result"])) == (states.RETRY, "ValueError('again')")


def test_an_ignored_result_is_not_kept(cq: CqBackend, make_request: Callable[..., Context]) -> None:
    request = make_request(ignore_result=True)

    cq.mark_as_done(request.id, "secret", request)

    assert (row(request.id).state, row(request.id).encoded_result) == (states.SUCCESS, None)
    assert cq.get_task_meta(request.id)["status"] == states.PENDING  # as Celery has it


def test_revoked(app: Celery, cq: CqBackend, make_request: Callable[..., Context]) -> None:
    request = make_request()

    cq.mark_as_revoked(request.id, "terminated", request)

    with pytest.raises(TaskRevokedError, match="terminated"):
        app.AsyncResult(request.id).get(timeout=5)


def test_nothing_follows_from_an_outcome_without_its_claim(
    app: Celery, cq: CqBackend, make_request: Callable[..., Context]
) -> None:
    called: list[Any] = []

    @app.task(name="rows.errback", shared=False)
    def errback(request: Any, exc: Any, traceback: Any) -> None:
        called.append((request.id, app.AsyncResult(request.id).state))

    request = make_request(errbacks=[errback.s()])
    cq.mark_as_failure(request.id, ValueError(), None, request)
    cq.mark_as_failure(request.id, ValueError(), None, request)

    assert called == [(request.id, states.FAILURE)]  # once, and it has seen the outcome


def test_get_many_yields_what_has_ended(app: Celery, cq: CqBackend) -> None:
    for number in range(3):
        cq.store_result(f"done-{number}", number, states.SUCCESS)

    found = dict(cq.get_many([f"done-{number}" for number in range(3)], timeout=5))
    assert {meta["result"] for meta in found.values()} == {0, 1, 2}
    with pytest.raises(TimeoutError):
        list(cq.get_many(["done-0", "unknown"], timeout=0))


def test_whoever_waits_is_noted_where_that_can_be_seen(
    app: Celery, make_request: Callable[..., Context], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    request, backend = make_request(), app.backend
    is_seen = dialect_of(own_connection().vendor).has_returning
    with ThreadPoolExecutor(1) as pool:
        got = pool.submit(app.AsyncResult(request.id).get, timeout=30)
        if is_seen:
            wait_until(lambda: row(request.id).watcher)
        backend.mark_as_done(request.id, 3, request)

        assert got.result(30) == 3
    assert bool(row(request.id).watcher) is is_seen


def test_to_wait_inside_the_transaction_that_publishes_is_in_vain(
    app: Celery, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    waker, ring = waiting.waker_of(app), object
    waker.add(["another"], ring)
    wait_until(lambda: waker.watch(["another"]))  # it hears: a wait would now write that it watches
    try:
        with transaction.atomic(using=database):
            made = record()
            assert PublishingMirror(CallersConnection()).record(made)
            result = app.AsyncResult(made.id)
            with pytest.warns(RuntimeWarning, match="in vain"), pytest.raises(TimeoutError):
                result.get(timeout=0.1)
    finally:
        waker.remove(["another"], ring)


def test_groups(app: Celery, cq: CqBackend) -> None:
    inner = GroupResult("inner", [app.AsyncResult("c")])
    group = GroupResult("outer", [app.AsyncResult("a"), inner])
    group.save(backend=cq)
    group.save(backend=cq)

    found = GroupResult.restore("outer", backend=cq, app=app)
    assert found == group and found.as_tuple() == group.as_tuple()

    group.delete(backend=cq)
    assert GroupResult.restore("outer", backend=cq, app=app) is None


def test_the_last_part_of_a_chord_has_its_results(
    app: Celery, cq: CqBackend, make_request: Callable[..., Context]
) -> None:
    group_id, body = _chord(app)
    parts = [make_request(group=group_id, chord=body, ignore_result=bool(n)) for n in range(3)]
    header = (group_id, [app.AsyncResult(part.id) for part in parts])
    cq.apply_chord(header, body)
    cq.apply_chord(header, body)  # as by a body that runs once more
    cq.set_chord_size(group_id, len(parts))

    for number, part in enumerate(parts):
        assert _published(app) == []
        cq.mark_as_done(part.id, number, part)
    cq.mark_as_done(parts[0].id, "late", parts[0])

    assert _published(app) == [[[0, 1, 2]]]


def test_the_parts_of_a_generator_are_found_by_their_group(
    app: Celery, cq: CqBackend, make_request: Callable[..., Context]
) -> None:
    group_id, body = _chord(app)
    cq.apply_chord((group_id, regen(pytest.fail("unrolled") for _ in range(2))), body)
    cq.set_chord_size(group_id, 2)
    parts = [
        make_request(headers={"group": group_id, "group_index": n}, group=group_id, chord=body)
        for n in range(2)
    ]
    for number in (1, 0):
        cq.mark_as_done(parts[number].id, number, parts[number])

    assert _published(app) == [[[0, 1]]]


def test_a_chord_does_not_go_on_without_a_part(
    app: Celery, cq: CqBackend, make_request: Callable[..., Context]
) -> None:
    group_id, body = _chord(app)
    cq.apply_chord((group_id, regen(iter([]))), body)
    cq.set_chord_size(group_id, 1)
    part = make_request(group=group_id, chord=body)  # its row says nothing of the group

    cq.mark_as_done(part.id, 1, part)

    assert _published(app) == []
    with pytest.raises(ChordError, match="0 of 1 parts are known"):
        app.AsyncResult(body.id).get(timeout=5)


def test_a_chord_goes_on_after_a_part_that_was_not_counted(
    app: Celery, cq: CqBackend, make_request: Callable[..., Context], keeping: KeepingMirror
) -> None:
    group_id, body = _chord(app)
    headers = {"group": group_id, "chord": body}
    parts = [make_request(headers={**headers}, group=group_id, chord=body) for _ in range(2)]
    cq.apply_chord((group_id, [app.AsyncResult(part.id) for part in parts]), body)
    cq.set_chord_size(group_id, len(parts))
    cq.mark_as_done(parts[0].id, 1, parts[0])
    assert chords.uncounted(-60, 10) == []

    keeping.revoke([parts[1].id], Outcome(states.REVOKED, *encode_text({}, "json")))
    assert chords.uncounted(60, 10) == []
    assert chords.uncounted(-60, 10) == [group_id]

    assert chords.complete(app, cq, group_id)
    assert not chords.complete(app, cq, group_id)
    assert app.AsyncResult(body.id).failed()


def test_a_part_is_added_to_a_chord(
    app: Celery, cq: CqBackend, make_request: Callable[..., Context]
) -> None:
    group_id, body = _chord(app)
    first, second = (make_request(group=group_id, chord=body) for _ in range(2))
    cq.apply_chord((group_id, [app.AsyncResult(first.id)]), body)
    cq.set_chord_size(group_id, 1)

    cq.add_to_chord(group_id, app.AsyncResult(second.id))
    cq.mark_as_done(first.id, "first", first)
    assert _published(app) == []
    cq.mark_as_done(second.id, "second", second)

    assert _published(app) == [[["first", "second"]]]


def test_a_chord_fails_with_its_part(
    app: Celery, cq: CqBackend, make_request: Callable[..., Context]
) -> None:
    group_id, body = _chord(app)
    parts = [make_request(group=group_id, chord=body) for _ in range(2)]
    cq.apply_chord((group_id, [app.AsyncResult(part.id) for part in parts]), body)
    cq.set_chord_size(group_id, len(parts))

    cq.mark_as_failure(parts[0].id, ValueError("broken"), None, parts[0])
    cq.mark_as_done(parts[1].id, 1, parts[1])

    assert _published(app) == []
    with pytest.raises(ChordError, match=f"Dependency {parts[0].id} raised ValueError"):
        app.AsyncResult(body.id).get(timeout=5)


def test_forget(app: Celery, cq: CqBackend, publishing: PublishingMirror) -> None:
    made = record()
    publishing.record(made)
    cq.store_result("done", 1, states.SUCCESS)

    for task_id in (made.id, "done"):
        app.AsyncResult(task_id).forget()

    assert cq.task_result_exists(made.id)  # it runs, whoever has forgotten it
    assert not cq.task_result_exists("done")


def test_cleanup_deletes_what_is_old_in_chunks(
    app: Celery, database: str, keeping: KeepingMirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, made = CqBackend(app, expires=3600), record()
    for number in range(25):
        backend.store_result(f"old-{number}", number, states.SUCCESS)
    GroupResult("old", [app.AsyncResult("old-0")]).save(backend=backend)
    keeping.record(made)
    long_ago = keeping.later.replace("%s", "-7200")
    keeping.connection.execute(
        f"UPDATE cq_task SET created_at = {long_ago}, finished_at = "
        f"CASE WHEN finished_at IS NULL THEN NULL ELSE {long_ago} END",
        [],
    )
    keeping.connection.execute(f"UPDATE cq_group SET created_at = {long_ago}", [])
    backend.store_result("new", 1, states.SUCCESS)
    monkeypatch.setattr(walk, "CHUNK", 10)

    backend.cleanup()

    left = keeping.select("id", "1 = 1", [])
    assert {task_id for (task_id,) in left} == {made.id, "new"}
    assert GroupResult.restore("old", backend=backend, app=app) is None


def _chord(app: Celery) -> tuple[str, Any]:
    @app.task(name="rows.body", shared=False)
    def body(results: list[Any]) -> None: ...

    return str(uuid4()), body.s().set(task_id=str(uuid4()))


def _published(app: Celery) -> list[Any]:
    """Return the arguments of the messages that were published since the last look."""
    found = []
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(app.conf.task_default_queue)
        while len(queue):
            found.append(queue.get(block=False).payload[0])
    return found
