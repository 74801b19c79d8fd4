"""What a block publishes is one transaction, and few statements."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, chord, group
from django.db import DataError, OperationalError, connections, transaction
from django.test.utils import CaptureQueriesContext

from cq_compat import bulk, gathering, recording, states
from cq_compat.errors import DatabaseUnavailable
from cq_compat.gathering import MOST, current_batch
from cq_compat.models import Task
from cq_compat.outbox import outbox
from tests.conformance.rows.conftest import ALIAS
from tests.conformance.rows.messages import row
from tests.servers.databases import cut, declared, read_only
from tests.servers.ports import free_port
from tests.servers.publishing import Undone, kept_in_rows, publisher, rolled_back, sent


@pytest.fixture(autouse=True)
def durable(database: str, layers: dict[str, Any]) -> Iterator[None]:
    """Let tasks be rows here."""
    with kept_in_rows():
        yield
    assert outbox.flush(10)


@pytest.fixture
def app() -> Iterator[Celery]:
    """An app with a namespace of its own."""
    with publisher() as app:
        yield app


def publish(app: Celery, **options: Any) -> str:
    return str(app.send_task("tests.add", (1, 2), **options).id)


def committed() -> list[str]:
    """Return the ids of the tasks that there are."""
    return [str(pk) for pk in Task.objects.using(ALIAS).values_list("pk", flat=True)]


@contextmanager
def inserts() -> Iterator[list[str]]:
    """Yield the statements that make rows of tasks; complete at the end of the block."""
    found: list[str] = []
    with CaptureQueriesContext(connections[ALIAS]) as captured:
        yield found
    found += [one["sql"] for one in captured if one["sql"].startswith("INSERT INTO cq_task ")]


def test_many_are_one_statement_and_are_sent_on_commit(app: Celery) -> None:
    with inserts() as made:
        with bulk():
            ids = [publish(app, queue="celery", priority=4) for _ in range(70)]
            assert sent(app) == 0
        assert sent(app) == 70

    assert len(made) == (1 if connections[ALIAS].vendor == "postgresql" else 2)
    assert set(committed()) == set(ids)
    found = row(ids[-1])
    assert (found.state, found.run, found.queue, found.priority) == (states.PENDING, 0, "celery", 4)
    assert found.is_subtask is False and found.parent_id is None and found.message != ""


def test_a_row_is_as_if_it_were_made_alone(app: Celery) -> None:
    eta = datetime.now(timezone.utc) + timedelta(hours=1)
    many: list[dict[str, Any]] = [
        {},
        {"eta": eta, "expires": eta + timedelta(hours=1)},
        {"task_id": str(uuid4()), "group_id": "g", "parent_id": "p", "root_id": "r", "retries": 2},
        {"headers": {"periodic_task_name": "nightly"}, "argsrepr": "%s \0 {}"},
    ]
    alone = [publish(app, **{**options, "task_id": str(uuid4())}) for options in many]
    with bulk():
        together = [publish(app, **{**options, "task_id": str(uuid4())}) for options in many]

    for one, other in zip(alone, together, strict=True):
        assert comparable(one) == comparable(other)
    due = row(alone[1]).due_at, row(together[1]).due_at
    assert abs((due[0] - due[1]).total_seconds()) < 60


def comparable(task_id: str) -> dict[str, Any]:
    """Return what two rows of tasks that were published alike have in common."""
    found = row(task_id)
    differs = ("id", "root_id", "message", "created_at", "due_at", "sent_at")
    kept = {field.name: getattr(found, field.name) for field in Task._meta.concrete_fields}
    return {name: value for name, value in kept.items() if name not in differs}


def test_what_raises_has_published_nothing(app: Celery) -> None:
    with suppress(Undone), bulk():
        publish(app)
        raise Undone

    assert (committed(), sent(app)) == ([], 0)
    assert current_batch() is None


def test_a_caller_that_rolls_back_has_published_nothing(app: Celery) -> None:
    with rolled_back(ALIAS):
        with bulk():
            publish(app)
        assert len(committed()) == 1

    assert (committed(), sent(app)) == ([], 0)


def test_who_sets_a_rollback_has_published_nothing(app: Celery) -> None:
    with bulk():
        publish(app)
        transaction.set_rollback(True, using=ALIAS)

    assert (committed(), sent(app)) == ([], 0)


def test_a_savepoint_is_rolled_back_alone(app: Celery) -> None:
    with bulk():
        before = publish(app)
        with rolled_back(ALIAS):
            publish(app)
        with transaction.atomic(using=ALIAS):
            inside = publish(app)
        after = publish(app)

    assert set(committed()) == {before, inside, after}
    assert sent(app) == 3


def test_a_block_in_a_block(app: Celery) -> None:
    with bulk():
        before = publish(app)
        with suppress(Undone), bulk():
            publish(app)
            raise Undone
        with inserts() as made, bulk():
            inside = [publish(app), publish(app)]
        after = publish(app)

    assert len(made) == 1
    assert set(committed()) == {before, *inside, after}
    assert sent(app) == 4


def test_whoever_looks_sees_them(app: Celery) -> None:
    with bulk():
        first = publish(app)
        assert row(first).state == states.PENDING
        second = publish(app)
        assert Task.objects.using(ALIAS).count() == 2

    assert set(committed()) == {first, second}


def test_other_statements_do_not_make_them(app: Celery) -> None:
    with inserts() as made, bulk():
        for _ in range(3):
            publish(app)
            with connections[ALIAS].cursor() as cursor:
                cursor.execute("SELECT 1")

    assert len(made) == 1


def test_an_id_that_there_is_already(app: Celery, caplog: pytest.LogCaptureFixture) -> None:
    known = publish(app)
    with bulk():
        new = publish(app)
        publish(app, task_id=known)

    assert set(committed()) == {known, new}
    assert "published before" in caplog.text
    assert sent(app) == 2


def test_no_more_than_some_are_gathered(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST", 3)
    assert MOST > 3
    with inserts() as made, bulk():
        for _ in range(4):
            publish(app)

    assert len(made) == 2
    assert len(committed()) == sent(app) == 4


def test_groups_and_chords(app: Celery) -> None:
    parts = [app.signature("tests.add", (number, number)) for number in range(10)]
    with inserts() as made, bulk():
        group(parts, app=app)()
        chord(parts, app.signature("tests.add"), app=app)()

    assert len(made) == 1
    assert len(committed()) == sent(app) == 20


def test_a_countdown_goes_on_in_the_block(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    with bulk():
        alone = publish(app, countdown=3600)
        assert row(alone).due_at  # its row is made now
        gathered = publish(app, countdown=3600)
        monkeypatch.setattr(recording, "monotonic", lambda: monotonic() + 1800)

    earlier = row(alone).due_at - row(gathered).due_at
    assert 1700 < earlier.total_seconds() < 1810
    assert sent(app) == 0


def test_celerys_own_order_can_be_had(app: Celery, settings: Any) -> None:
    settings.CQ = {"DATABASE": ALIAS, "SEND_ON_COMMIT": False}
    with bulk():
        publish(app)
        assert sent(app) == 1

    assert len(committed()) == 1


def test_without_rows_it_changes_nothing(app: Celery, settings: Any) -> None:
    settings.CQ = {"DATABASE": "no such database", "DURABLE": False}
    with bulk():
        assert current_batch() is None


def test_a_task_that_cannot_be_stored_takes_the_block_with_it(app: Celery) -> None:
    def publish_both() -> None:
        with bulk():
            publish(app)
            publish(app, group_id="x" * 300)

    if connections[ALIAS].vendor == "sqlite":  # its columns have no width
        publish_both()
        return
    with pytest.raises(DataError):
        publish_both()
    assert (committed(), sent(app)) == ([], 0)


def test_what_was_caught_is_raised_at_the_end(app: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*args: Any) -> None:
        raise OperationalError("gone")

    def catch() -> None:
        with bulk():
            publish(app)
            with monkeypatch.context() as patch, suppress(DatabaseUnavailable):
                patch.setattr(gathering, "record_all", fails)
                Task.objects.using(ALIAS).count()
            publish(app)

    with pytest.raises(DatabaseUnavailable, match=r"None of these tasks .*gone"):
        catch()
    assert (committed(), sent(app)) == ([], 0)


def test_a_connection_that_was_cut_while_it_idled(app: Celery) -> None:
    connection = connections[ALIAS]
    connection.ensure_connection()
    if connection.vendor != "sqlite":  # which has no server that could
        cut(connection)
    with bulk():
        task_id = publish(app)

    assert committed() == [task_id]


def test_a_server_that_only_reads_is_left(app: Celery) -> None:
    read_only(connections[ALIAS])

    def publish_one() -> str:
        with bulk():
            return publish(app)

    with pytest.raises(DatabaseUnavailable, match="None of these tasks"):
        publish_one()
    assert committed() == []
    assert committed() == [] != [publish_one()]


def test_with_the_database_gone(app: Celery, settings: Any) -> None:
    server = {"ENGINE": "django.db.backends.postgresql", "HOST": "127.0.0.1", "NAME": "gone"}
    with declared(gone={**server, "PORT": free_port()}):
        settings.CQ = {"DATABASE": "gone"}
        with pytest.raises(DatabaseUnavailable, match="None of these tasks"), bulk():
            pytest.fail("it began")
        assert sent(app) == 0

        settings.CQ = {"DATABASE": "gone", "ON_DATABASE_DOWN": "publish"}
        with bulk():
            publish(app)
        assert sent(app) == 1
