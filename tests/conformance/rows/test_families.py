"""Families: parents that wait, tasks that are held, and who may end them, on each database."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context

from cq_compat import links, states
from cq_compat.backend import CqBackend
from cq_compat.database import OwnConnection
from cq_compat.errors import RowsNeeded
from cq_compat.keeper.families import AGE, Families
from cq_compat.lease import Lease
from cq_compat.links import Link
from cq_compat.mirror import (
    Claim,
    FamilyMirror,
    KeepingMirror,
    Outcome,
    PublishingMirror,
    Terms,
    WorkingMirror,
)
from cq_compat.models import Task
from cq_compat.native.chaining import go_on
from cq_compat.native.completion import complete
from cq_compat.operations import retry, revoke
from cq_compat.pruning import prune
from cq_compat.retention import Rule
from tests.conformance.rows.messages import BROKER, claimed, lose, record, row

WELL = Outcome(states.SUCCESS, "1", "application/json")
BROKEN = Outcome(
    states.FAILURE,
    json.dumps({"exc_type": "ValueError", "exc_message": ["broken"], "exc_module": "builtins"}),
    "application/json",
)


@pytest.fixture
def app() -> Celery:
    return Celery("families", set_as_current=False, broker="channels://", backend="cq")


@pytest.fixture
def mirror(connection: OwnConnection) -> FamilyMirror:
    return FamilyMirror(connection)


@pytest.fixture
def begin(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> Callable[..., Claim]:
    """Begin a body."""

    def begin(**headers: Any) -> Claim:
        claim = claimed(publishing, working, lease, **headers)
        assert working.start(claim, acks_late=False)
        return claim

    return begin


def subtask_of(parent: Claim) -> dict[str, Any]:
    """Return the headers of a subtask's message."""
    return Link(subtask_of=parent.task_id).headers()


def after(previous: str, how: str = links.SUCCESS, **link: Any) -> dict[str, Any]:
    """Return the headers of a chained task's message."""
    return Link(previous_id=previous, runs_after=how, **link).headers()


def error_of(task_id: str) -> str:
    """Return what a task has failed with."""
    found = json.loads(row(task_id).encoded_result or "")
    return str(found["exc_message"][0])


def test_a_parent_waits_until_its_last_subtask(
    working: WorkingMirror, begin: Callable[..., Claim], keeping: KeepingMirror, lease: Lease
) -> None:
    parent = begin(expires="2020-01-01T00:00:00+00:00")
    children = [begin(**subtask_of(parent)) for _ in range(3)]
    assert working.finish(children[0], WELL)
    assert working.finish(parent, WELL)

    waiting = row(parent.task_id)
    assert (waiting.state, waiting.owner_id, waiting.finished_at) == ("WAITING", None, None)
    assert (waiting.encoded_result, waiting.sent_at, waiting.due_at) == ("1", None, None)
    # Its message may come again, and whoever ran it has no say any more.
    assert working.claim([(parent.task_id, 0)], lease.owner, lease.hostname) == []
    assert not working.finish(parent, BROKEN) and not working.settle(parent, states.SUCCESS)
    assert not working.progress(parent, Outcome("PROGRESS"))
    assert lose(keeping) == 0 and keeping.expired(10) == []
    assert working.finish(children[1], WELL)
    assert row(parent.task_id).state == "WAITING"
    assert working.finish(children[2], WELL)

    ended = row(parent.task_id)
    assert (ended.state, ended.encoded_result, ended.run) == (states.SUCCESS, "1", 0)
    assert ended.finished_at is not None and ended.ended_as is None


def test_subtasks_that_have_ended_before_the_body(
    working: WorkingMirror, begin: Callable[..., Claim]
) -> None:
    well, ill, plain = begin(), begin(), begin()
    assert working.finish(begin(**subtask_of(well)), WELL)
    assert working.finish(begin(**subtask_of(ill)), BROKEN)
    begin(parent_id=plain.task_id)  # published by its body, and no subtask

    for claim in (well, ill, plain):
        assert working.finish(claim, WELL)

    assert row(plain.task_id).waiting_since is None
    assert [row(one.task_id).state for one in (well, ill, plain)] == [
        *(states.SUCCESS, states.FAILURE, states.SUCCESS)
    ]
    error = error_of(ill.task_id)
    assert error.startswith("1 of 1 subtasks failed: tests.add[")
    assert "ValueError('broken')" in error


def test_a_parent_waits_for_the_body_of_a_chord(
    working: WorkingMirror, begin: Callable[..., Claim], connection: OwnConnection
) -> None:
    parent = begin()
    part = begin(group="group", **subtask_of(parent))
    connection.execute(
        "INSERT INTO cq_chord (group_id, header, size, done, created_at) "
        f"VALUES ('group', '', 1, 0, {working.now})",
        [],
    )
    assert working.finish(part, WELL)  # in the transaction of its body, and not yet counted
    assert working.finish(parent, WELL)
    assert row(parent.task_id).state == "WAITING"

    with connection.transaction():
        connection.execute("DELETE FROM cq_chord", [])
        body = begin(**subtask_of(parent))
    assert row(parent.task_id).state == "WAITING"
    assert working.finish(body, WELL)
    assert row(parent.task_id).state == states.SUCCESS


def test_a_parent_ends_with_a_chord_that_fails(
    working: WorkingMirror, begin: Callable[..., Claim], app: Celery
) -> None:
    parent = begin()
    link, backend = subtask_of(parent), CqBackend(app)
    parts = [begin(group="group", **link) for _ in range(2)]
    body = app.signature("tests.body", task_id="body")
    backend.apply_chord(("group", [app.AsyncResult(one.task_id) for one in parts]), body)
    backend.set_chord_size("group", 2)
    assert working.finish(parts[0], BROKEN) and working.finish(parts[1], WELL)
    assert working.finish(parent, WELL)
    assert row(parent.task_id).state == "WAITING"

    for one in parts:
        request = Context({"id": one.task_id, "group": "group", "chord": body, **link})
        backend.on_chord_part_return(request, states.SUCCESS, None)

    assert error_of(parent.task_id).startswith("1 of 2 subtasks failed")


def test_a_parent_that_tolerates_failures(
    working: WorkingMirror, begin: Callable[..., Claim]
) -> None:
    parent = begin()
    child = begin(**subtask_of(parent))
    assert working.end(parent, WELL, Terms(subtasks_may_fail=True))
    assert working.finish(child, BROKEN)

    ended = row(parent.task_id)
    assert (ended.state, ended.encoded_result) == (states.SUCCESS, "1")
    assert "1 of 1 subtasks failed" in (ended.traceback or "")


def test_a_parents_result_is_anothers(
    working: WorkingMirror, mirror: FamilyMirror, begin: Callable[..., Claim]
) -> None:
    for early in (False, True):
        parent = begin()
        source = begin()
        assert mirror.join(source.task_id, parent.task_id)
        end = partial(working.end, parent, WELL, Terms(result_from=source.task_id))
        value = Outcome(states.SUCCESS, "42", "application/json")
        if early:
            assert working.finish(source, value) and end()
        else:
            assert end() and working.finish(source, value)
        ended = row(parent.task_id)
        assert (ended.state, ended.encoded_result) == (states.SUCCESS, "42")


@pytest.mark.parametrize("outcome", [WELL, BROKEN], ids=["well", "broken"])
def test_a_failure_of_an_attempt_that_was_made_up_for(
    working: WorkingMirror, begin: Callable[..., Claim], outcome: Outcome, connection: Any
) -> None:
    parent = begin()
    old, new = begin(**subtask_of(parent)), begin(**subtask_of(parent))
    assert working.finish(old, BROKEN)
    connection.execute(  # the body has begun once more in between
        f"UPDATE cq_task SET created_at = {working.later} WHERE id = %s",
        [-60, old.task_id],
    )
    assert working.finish(parent, WELL)
    assert working.finish(new, outcome)

    assert row(parent.task_id).state == outcome.state
    assert outcome == WELL or error_of(parent.task_id).startswith("1 of 1 ")


def test_completion_climbs(working: WorkingMirror, begin: Callable[..., Claim]) -> None:
    root = begin()
    branch = begin(**subtask_of(root))
    leaf = begin(**subtask_of(branch))
    for claim in (root, branch):
        assert working.finish(claim, WELL)
    assert working.finish(leaf, WELL)

    assert {row(one.task_id).state for one in (root, branch, leaf)} == {states.SUCCESS}


def test_one_of_two_completes(
    working: WorkingMirror, mirror: FamilyMirror, begin: Callable[..., Claim], app: Celery
) -> None:
    parent = begin()
    child = begin(**subtask_of(parent))
    assert working.finish(parent, WELL)
    assert mirror.ready(parent.task_id) is None and not complete(app, parent.task_id)
    with mirror.connection.transaction():
        assert working.finish(child, WELL)
        ready = mirror.ready(parent.task_id)
        assert ready is not None
        assert mirror.complete(ready, WELL) is not None
        assert mirror.complete(ready, BROKEN) is None
    assert not complete(app, parent.task_id)
    assert row(parent.task_id).state == states.SUCCESS


def test_a_held_task_is_neither_due_nor_claimed(
    working: WorkingMirror, keeping: KeepingMirror, begin: Callable[..., Claim], lease: Lease
) -> None:
    first = begin()
    held = record(**after(first.task_id))
    keeping.adopt(held)  # of somebody without the ledger, its message is in the layer

    assert row(held.id).is_held and row(held.id).due_at is row(held.id).sent_at is None
    assert working.claim([(held.id, 0)], lease.owner, lease.hostname) == []
    assert keeping.due_in(BROKER) is None and lose(keeping) == 0
    assert keeping.resend([held.id]) == [] and not keeping.move(held.id, 0, "redis://")


@pytest.mark.parametrize(
    ("outcome", "how", "args"),
    [
        (WELL, links.SUCCESS, [1, 2]),
        (WELL, links.END, [1, 2]),
        (BROKEN, links.END, [None, 2]),
        (BROKEN, links.FAILURE, ["broken", 2]),
    ],
    ids=["success", "end", "forced", "errback"],
)
def test_a_held_task_is_released(
    working: WorkingMirror,
    keeping: KeepingMirror,
    begin: Callable[..., Claim],
    outcome: Outcome,
    how: str,
    args: list[Any],
) -> None:
    first = begin()
    held, plain = (
        record(**after(first.task_id, how, takes_result=True)),
        record(**after(first.task_id, how)),
    )
    assert keeping.record(held) and keeping.record(plain)
    assert working.finish(first, outcome)

    found = row(held.id)
    assert (found.state, found.is_held) == (states.PENDING, False)
    assert found.due_at is not None
    body = json.loads(json.loads(found.message)["body"])
    assert str(args[0]) in str(body[0][0]) and body[0][1:] == args[1:]
    assert json.loads(json.loads(row(plain.id).message)["body"])[0] == [1, 2]


def test_a_held_task_ends_with_the_previous_one(
    working: WorkingMirror, keeping: KeepingMirror, begin: Callable[..., Claim], app: Celery
) -> None:
    first = begin()
    second = record(**after(first.task_id))
    third = record(**after(second.id))
    callback = record(**after(first.task_id, links.FAILURE))
    for made in (second, third, callback):
        assert keeping.record(made)
    assert working.finish(first, BROKEN)

    assert [row(one.id).state for one in (second, third)] == [states.FAILURE] * 2
    assert f"tests.add[{first.task_id}]: ValueError('broken')" in error_of(second.id)
    assert not row(callback.id).is_held

    # Its message has no result yet: it is held once more, and the previous one has still failed.
    assert retry([second.id]) == [second.id]
    assert row(second.id).is_held and row(second.id).due_at is None
    assert go_on(app, first.task_id) == 1
    assert row(second.id).state == states.FAILURE


def test_an_error_callback_in_vain_is_deleted(
    working: WorkingMirror, keeping: KeepingMirror, begin: Callable[..., Claim]
) -> None:
    first = begin()
    callback = record(**after(first.task_id, links.FAILURE))
    assert keeping.record(callback)
    assert working.finish(first, WELL)

    assert not Task.objects.filter(pk=callback.id).exists()


@pytest.mark.parametrize("own", [None, "PROGRESS"])
def test_an_ignored_task_ends_what_is_chained(
    working: WorkingMirror,
    keeping: KeepingMirror,
    begin: Callable[..., Claim],
    app: Celery,
    own: str | None,
) -> None:
    first = begin()
    early, late = (record(**after(first.task_id)) for _ in range(2))
    callback = record(**after(first.task_id, links.FAILURE, takes_result=True))
    assert keeping.record(early) and keeping.record(callback)
    assert own is None or working.progress(first, Outcome(own))
    assert working.settle(first, states.IGNORED)
    assert row(first.task_id).state == (own or states.IGNORED)
    assert keeping.record(late)
    assert go_on(app, first.task_id) == 1  # as whoever records it does

    for one in (early, late):
        assert row(one.id).state == states.REVOKED
        assert error_of(one.id) == f"tests.add[{first.task_id}] was ignored, and has no result"
    assert "was ignored" in row(callback.id).message


def test_a_replaced_task_waits_for_others_in_its_place(
    working: WorkingMirror, keeping: KeepingMirror, begin: Callable[..., Claim], app: Celery
) -> None:
    parent, alone, first = begin(), begin(), begin()
    child = begin(**subtask_of(parent))
    after_first = record(**after(first.task_id))
    assert keeping.record(after_first)
    assert working.finish(parent, WELL)

    assert working.give_way(alone) and not working.give_way(alone)
    assert row(alone.task_id).state == states.IGNORED  # nobody waits for it
    after_alone = record(**after(alone.task_id))
    assert keeping.record(after_alone) and go_on(app, alone.task_id) == 0
    for claim in (child, first):
        assert working.give_way(claim) and not working.give_way(claim)
        assert not complete(app, claim.task_id)
        assert row(claim.task_id).state == "WAITING"
    assert row(parent.task_id).state == "WAITING" and row(after_first.id).is_held
    for claim in (child, first, alone):
        assert keeping.store(claim.task_id, WELL)

    assert row(parent.task_id).state == states.SUCCESS
    assert not row(after_first.id).is_held and not row(after_alone.id).is_held


def test_subtasks_are_kept_while_their_parent_waits(
    working: WorkingMirror, begin: Callable[..., Claim]
) -> None:
    parent = begin()
    early, late = begin(**subtask_of(parent)), begin(**subtask_of(parent))
    assert working.finish(early, BROKEN) and working.finish(parent, WELL)

    assert prune([Rule(-60)]) == 0
    assert working.finish(late, WELL)
    assert row(parent.task_id).state == states.FAILURE
    assert prune([Rule(-60)]) == 3


def test_a_family_is_revoked(
    working: WorkingMirror, keeping: KeepingMirror, begin: Callable[..., Claim]
) -> None:
    parent = begin()
    child = begin(**subtask_of(parent))
    grandchild = begin(**subtask_of(child))
    other = begin(parent_id=parent.task_id)
    second = record(**after(parent.task_id))
    third = record(**after(second.id))
    for made in (second, third):
        assert keeping.record(made)
    assert working.finish(parent, WELL)

    family = [parent.task_id, child.task_id, grandchild.task_id, second.id, third.id]
    assert set(revoke([parent.task_id])) == set(family)

    assert {row(one).state for one in family} == {states.REVOKED}
    assert row(other.task_id).state == states.STARTED
    assert not working.finish(grandchild, WELL)


def test_a_tree_has_the_order_of_publication(
    keeping: KeepingMirror, begin: Callable[..., Claim]
) -> None:
    parent = begin()
    made = [record(**subtask_of(parent)) for _ in range(50)]
    with keeping.connection.transaction():
        for one in made:
            assert keeping.record(one)

    tree = row(parent.task_id).tree()
    assert [branch.task.pk for branch in tree.branches] == [one.id for one in made]
    assert len(row(parent.task_id).tree(limit=11)) == 11
    assert [one.task.pk for one in row(parent.task_id).tree(limit=11)][1:] == [
        one.id for one in made[:10]
    ]


def test_a_keeper_goes_on(
    working: WorkingMirror,
    keeping: KeepingMirror,
    begin: Callable[..., Claim],
    app: Celery,
    connection: OwnConnection,
) -> None:
    parent, lonely = begin(), begin()
    child = begin(**subtask_of(parent))
    begin(**subtask_of(lonely))
    held, orphan = record(**after(child.task_id)), record(**after("unknown"))
    for made in (held, orphan):
        assert keeping.record(made)
    for claim in (parent, lonely):
        assert working.finish(claim, WELL)
    # Ended by somebody who has died before anything followed.
    connection.execute(
        f"UPDATE cq_task SET state = 'SUCCESS', owner_id = NULL, finished_at = {working.later} "
        "WHERE id = %s",
        [-2 * AGE, child.task_id],
    )
    duty = Families(app)
    assert not duty.run_once()
    assert row(parent.task_id).state == "WAITING"  # its relatives have their time
    connection.execute(
        f"UPDATE cq_task SET created_at = {working.later}, waiting_since = "
        f"CASE WHEN waiting_since IS NULL THEN NULL ELSE {working.later} END",
        [-2 * AGE] * 2,
    )
    assert not duty.run_once()

    assert row(parent.task_id).state == states.SUCCESS
    assert row(lonely.task_id).state == "WAITING"
    assert not row(held.id).is_held
    assert "a task without a row[unknown]" in error_of(orphan.id)


def test_a_keeper_goes_on_after_ignored_tasks(
    working: WorkingMirror,
    keeping: KeepingMirror,
    mirror: FamilyMirror,
    begin: Callable[..., Claim],
) -> None:
    ignored, replaced = begin(), begin()
    assert keeping.record(record(**after(ignored.task_id)))
    working.connection.execute(  # by somebody who has died before anything followed
        f"UPDATE cq_task SET state = 'IGNORED', owner_id = NULL, finished_at = {working.now} "
        "WHERE id = %s",
        [ignored.task_id],
    )
    assert working.give_way(replaced)
    assert keeping.record(record(**after(replaced.task_id)))

    assert mirror.stranded_next(-60.0, 10) == [ignored.task_id]


def test_families_need_rows(database: str) -> None:
    elsewhere = Celery("elsewhere", set_as_current=False, broker="redis://nowhere")

    with pytest.raises(RowsNeeded, match="channels://"):
        Task(id="one").chain(elsewhere.signature("tests.add"))
