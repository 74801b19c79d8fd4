"""What django-cq 0.3 has left in a database is taken over by `manage.py cq_upgrade`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from django.db import connections

from cq_compat.models import Task
from tests.acceptance.native.conftest import publishing
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.schedules import APPS, scheduled

ALIAS = "upgraded"
TIMEOUT = 30
#: What its migrations made on PostgreSQL, the only database that it knew.
TABLES = """
CREATE TABLE cq_repeatingtask (
    id serial NOT NULL PRIMARY KEY, crontab varchar(100) NOT NULL, func_name varchar(256) NOT NULL,
    args jsonb NOT NULL, kwargs jsonb NOT NULL, last_run timestamptz NULL,
    next_run timestamptz NULL, coalesce boolean NOT NULL,
    result_ttl integer NOT NULL CHECK (result_ttl >= 0)
);
CREATE TABLE cq_task (
    id uuid NOT NULL PRIMARY KEY, status varchar(1) NOT NULL, signature jsonb NOT NULL,
    details jsonb NOT NULL, submitted timestamptz NOT NULL, started timestamptz NULL,
    parent_id uuid NULL CONSTRAINT cq_task_parent_id_fk REFERENCES cq_task (id) DEFERRABLE,
    previous_id uuid NULL REFERENCES cq_task (id), waiting_on_id uuid NULL REFERENCES cq_task (id),
    at_risk varchar(1) NOT NULL, finished timestamptz NULL, result_expiry timestamptz NULL,
    result_ttl integer NOT NULL CHECK (result_ttl >= 0),
    retries integer NOT NULL CHECK (retries >= 0), last_retry timestamptz NULL,
    force_chain boolean NOT NULL
);
CREATE INDEX cq_task_status_bf1e7dc4 ON cq_task (status);
CREATE INDEX cq_task_parent_id_9d1ce4d5 ON cq_task (parent_id);
CREATE TABLE django_migrations (
    id bigserial PRIMARY KEY, app varchar(255) NOT NULL, name varchar(255) NOT NULL,
    applied timestamptz NOT NULL
);
INSERT INTO django_migrations (app, name, applied) VALUES
    ('cq', '0001_initial', now()), ('cq', '0007_auto_20161010_1635', now());
"""
TASK = (
    "INSERT INTO cq_task (id, status, signature, details, parent_id, previous_id, submitted,"
    " started, finished, at_risk, result_ttl, retries, force_chain) VALUES (%s, %s, %s, %s, %s, %s,"
    " now() - interval '2 hours', now() - interval '1 hour', now(), 'N', 1800, 0, false)"
)
#: More than are read at once.
MANY = """
INSERT INTO cq_task (id, status, signature, details, submitted, finished, at_risk, result_ttl,
    retries, force_chain)
SELECT gen_random_uuid(), 'S', '{"func_name": "shop.tasks.sell", "args": [], "kwargs": {}}', '{}',
    now(), now(), 'N', 1800, 0, false FROM generate_series(1, 1200)
"""
SCHEDULE = (
    "INSERT INTO cq_repeatingtask (crontab, func_name, args, kwargs, coalesce, result_ttl)"
    " VALUES (%s, %s, %s, '{}', %s, 1800)"
)
ADD = "tests.project.tasks.add"
TOP, PART, FAILED, REVOKED, WAITS, RUNS, NEXT, GONE = (
    str(UUID(int=number)) for number in range(1, 9)
)


def old_tasks() -> Iterator[tuple[Any, ...]]:
    """Yield the rows of tasks that django-cq has left."""

    def row(key: str, status: str, parent: str | None = None, **known: Any) -> tuple[Any, ...]:
        signature = {"func_name": known.pop("name", ADD), "args": [1, 2], "kwargs": {}}
        previous = known.pop("previous", None)
        return key, status, json.dumps(signature), json.dumps(known), parent, previous

    said = [
        {"message": "above", "timestamp": "2020-06-01 10:00:00+00:00"},
        {"message": "below", "timestamp": "2020-06-01 10:00:01+00:00", "origin": PART},
    ]
    yield row(TOP, "S", result={"sum": 3}, logs=said)
    yield row(PART, "S", TOP, result=3)
    yield row(FAILED, "F", error="not yet", exception="ValueError", traceback="File ...")
    yield row(REVOKED, "E")
    yield row(WAITS, "Q")
    yield row(RUNS, "R")
    yield row(NEXT, "P", previous=RUNS)
    yield row(GONE, "P", name="shop.tasks.there_is_no_such_one")


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Project]:
    database = postgres_server.django(postgres_server.create_database())
    with RedisServer() as redis:  # apart from the workers of the other modules
        yield Project.on_redis(
            tmp_path_factory.mktemp("upgrade"),
            redis,
            INSTALLED_APPS=APPS,
            DATABASES={"default": database},
            CQ={},
            TIME_ZONE="Europe/Berlin",
            CELERY_RESULT_BACKEND="cq",
        )


@pytest.fixture(scope="module")
def app(project: Project, django_db_blocker: Any) -> Iterator[Celery]:
    """A worker after the upgrade, and what this process reads with."""
    with django_db_blocker.unblock(), publishing(project, ALIAS) as app:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(TABLES)
            cursor.execute(MANY)
            for row in old_tasks():
                cursor.execute(TASK, row)
            for when, name, args, coalesce in (
                ("0 3 * * *", "shop.tasks.nightly", "[]", True),
                ("*/5 * * * *", ADD, "[1, 2]", False),
                ("0 * * * *", ADD, "[3, 4]", False),
                ("* * * * *", "cq.tasks.maintenance", "[]", False),
            ):
                cursor.execute(SCHEDULE, [when, name, args, coalesce])
        warned = project.python("-m", "django", "check", "--database", "default")
        assert "Run manage.py cq_upgrade" in warned.stderr
        project.python("-m", "django", "migrate", "django_celery_beat", "--verbosity=0")
        said = upgrade(project)
        assert said == [
            "1207 tasks are taken over, 1 are published.",
            "3 repeating tasks are schedules.",
        ]
        with scheduled(ALIAS), project.worker("-c", "1"):
            yield app


def upgrade(project: Project) -> list[str]:
    return project.python("-m", "django", "cq_upgrade").stdout.splitlines()


def test_what_has_ended_is_there(app: Celery) -> None:
    top, failed = (Task.objects.get(pk=key) for key in (TOP, FAILED))

    assert (top.name, top.args, top.status, top.result) == (ADD, "(1, 2)", "SUCCESS", {"sum": 3})
    assert (failed.status, failed.error, failed.traceback) == ("FAILURE", "not yet", "File ...")
    assert repr(failed.wait(TIMEOUT, propagate=False)) == "ValueError('not yet')"
    assert Task.objects.get(pk=REVOKED).status == Task.STATUS_REVOKED
    assert top.created_at < top.started_at < top.finished_at


def test_families_and_logs_are_there(app: Celery) -> None:
    top = Task.objects.get(pk=TOP)

    assert [(part.pk, part.result) for part in top.subtasks] == [(PART, 3)]
    assert Task.objects.get(pk=PART).root == top
    assert [(line.message, line.task_id) for line in top.logs] == [("above", TOP), ("below", PART)]


def test_what_has_not_begun_runs(app: Celery) -> None:
    assert Task.objects.get(pk=WAITS).wait(TIMEOUT) == 3


@pytest.mark.parametrize("key", [RUNS, NEXT, GONE])
def test_what_cannot_run_says_so(app: Celery, key: str) -> None:
    task = Task.objects.get(pk=key)

    assert task.status == Task.STATUS_FAILURE
    assert "django-cq has not finished it" in (task.error or "")


def test_schedules_are_there(app: Celery) -> None:
    from django_celery_beat.models import PeriodicTask

    found = {one.name: one for one in PeriodicTask.objects.exclude(name__startswith="celery.")}
    assert set(found) == {"shop.tasks.nightly", f"{ADD} 2", f"{ADD} 3"}
    nightly = found["shop.tasks.nightly"]
    assert (nightly.crontab.hour, str(nightly.crontab.timezone)) == ("3", "Europe/Berlin")
    assert json.loads(nightly.headers) == {"coalesce": True}
    assert found[f"{ADD} 2"].args == "[1, 2]"


def test_a_second_time_changes_nothing(app: Celery, project: Project) -> None:
    before = Task.objects.count()

    assert upgrade(project)[0] == "0 tasks are taken over, 0 are published."
    assert Task.objects.count() == before
    project.python("-m", "django", "makemigrations", "cq", "--check", "--dry-run")


def test_there_is_nothing_to_take_over(tmp_path: Path, project: Project) -> None:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "new.sqlite3")}
    other = Project(tmp_path, **{**project.settings, "DATABASES": {"default": database}})

    assert upgrade(other) == ["There are no tables of django-cq."]
