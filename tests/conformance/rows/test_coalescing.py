"""One task of a key is pending or runs at a time."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from uuid import uuid4

import pytest
from celery import states
from django.db import connections, transaction

from cq_compat.clock import Now
from cq_compat.database import own_connection, publishing_connection
from cq_compat.lease import Lease
from cq_compat.mirror import Outcome, PublishingMirror, WorkingMirror
from cq_compat.models import Coalescing, Task
from cq_compat.native.coalescing import LONGEST, SILENCE, key_of, name_of, publish_one
from cq_compat.pruning import prune_remains
from tests.conformance.rows.conftest import ALIAS
from tests.conformance.rows.messages import record

PUBLISHERS = 8
#: Keys for which the publishers race.
ROUNDS = 10


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(PUBLISHERS) as pool:
        yield pool


def publish(key: str = "key") -> tuple[str, bool]:
    """Publish a task; return the one that there is, and whether it is that one."""
    task_id = str(uuid4())
    recorded = partial(PublishingMirror(publishing_connection()).record, record(task_id))
    found = publish_one(key, task_id, recorded)
    return found, found == task_id


def race(start: threading.Barrier, key: str) -> tuple[str, bool]:
    start.wait()
    try:
        return publish(key)
    finally:
        connections[ALIAS].close()


def test_the_next_one_waits_for_the_end(
    publishing: PublishingMirror, working: WorkingMirror, lease: Lease
) -> None:
    first, _ = publish()
    assert publish() == (first, False)
    (claim,) = working.claim([(first, 0)], lease.owner, lease.hostname)
    assert working.start(claim, acks_late=False)
    assert publish() == (first, False)
    assert working.finish(claim, Outcome(states.SUCCESS))

    second, is_new = publish()

    assert is_new and second != first
    assert publish() == (second, False)
    publishing.revoke([second], Outcome(states.REVOKED))
    assert publish()[1]


def test_a_task_that_another_broker_has_lost(database: str) -> None:
    first, _ = publish()
    task = Task.objects.using(ALIAS).filter(pk=first)
    long_ago, soon = Now() - timedelta(seconds=2 * SILENCE), Now() + timedelta(seconds=SILENCE)
    task.update(created_at=long_ago)
    assert publish() == (first, False)  # it is here
    task.update(message="")
    for sign in ({"eta": soon}, {"received_at": Now()}, {"started_at": Now()}):
        task.update(**sign)
        assert publish() == (first, False)
        task.update(**dict.fromkeys(sign, long_ago))

    assert publish()[1]


def test_keys_are_apart(database: str) -> None:
    assert publish("a")[1] and publish("A")[1] and publish("a ")[1]


def test_one_of_many_publishers_publishes(database: str, threads: ThreadPoolExecutor) -> None:
    for number in range(ROUNDS):
        key, start = f"key {number}", threading.Barrier(PUBLISHERS)
        Coalescing.objects.using(ALIAS).create(
            name=name_of(key), task_id="ended long ago", taken_at="2020-01-01T00:00Z"
        )
        found = list(threads.map(lambda _, k=key, s=start: race(s, k), range(PUBLISHERS)))

        assert sum(is_new for _, is_new in found) == 1
        assert len({task_id for task_id, _ in found}) == 1
    assert Task.objects.using(ALIAS).count() == ROUNDS


def test_a_transaction_that_is_undone_leaves_no_trace(database: str) -> None:
    def undone() -> None:
        with transaction.atomic(using=ALIAS):
            publish()
            raise InterruptedError

    with pytest.raises(InterruptedError):
        undone()

    assert not Task.objects.using(ALIAS).exists()
    assert publish()[1]


def test_a_task_does_not_wait_for_itself(database: str) -> None:
    first, _ = publish()

    assert publish_one("key", first, lambda: None) == first


def test_keys_are_pruned_with_their_tasks(publishing: PublishingMirror) -> None:
    live, ended = publish("live")[0], publish("ended")[0]
    publishing.revoke([ended], Outcome(states.REVOKED))
    own_connection().execute("UPDATE cq_coalescing SET taken_at = '2020-01-01 00:00:00'", [])

    prune_remains(60.0)

    assert list(Coalescing.objects.using(ALIAS).values_list("task_id", flat=True)) == [live]


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (False, None),
        (True, "tests.report"),
        (lambda user, **_: user, "tests.report:7"),
        (lambda user, month: (user, month), "tests.report:(7, 'May')"),
    ],
    ids=["never", "by name", "by an argument", "by all"],
)
def test_keys(rule: object, key: str | None) -> None:
    assert key_of("tests.report", rule, (7,), {"month": "May"}) == key


def test_names_are_short_and_apart() -> None:
    names = {name_of(f"tests.report:{'x' * 300}\0\ud800{end}").lower() for end in "aAb"}

    assert len(names) == 3 and all(len(name) <= LONGEST for name in names)
