"""What django-cq 0.3 has left in a database is taken over by `manage.py cq_upgrade`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from celery import Celery
from django.db import connections

from cq_compat.models import Task
from tests.acceptance.native.conftest import publishing
from tests.acceptance.native.stage import PROCESSES
from tests.servers.daemon import ROOT
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.schedules import APPS, scheduled
from tests.servers.waiting import wait_until

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
CREATE TABLE IF NOT EXISTS django_migrations (
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
    now(), now(), 'N', 1800, 0, false FROM generate_series(1, %s)
"""
SCHEDULE = (
    "INSERT INTO cq_repeatingtask (crontab, func_name, args, kwargs, coalesce, result_ttl)"
    " VALUES (%s, %s, %s, '{}', %s, 1800)"
)
ADD, HOLD = "tests.project.tasks.add", "tests.project.tasks.hold"
TOP, PART, FAILED, REVOKED, WAITS, RUNS, NEXT, GONE = (
    str(UUID(int=number)) for number in range(1, 9)
)


HELD = [str(UUID(int=number)) for number in range(100, 112)]


def old_tasks(gate: Path) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of tasks that django-cq has left; some wait for a file."""

    def row(key: str, status: str, parent: str | None = None, **known: Any) -> tuple[Any, ...]:
        args = known.pop("args", [1, 2])
        signature = {"func_name": known.pop("name", ADD), "args": args, "kwargs": {}}
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
    for number, key in enumerate(HELD):
        yield row(key, "PQY"[number % 3], name=HOLD, args=[str(gate)])


@pytest.fixture(scope="module")
def durability() -> dict[str, Any]:
    """Settings that say what becomes of a killed worker's tasks."""
    return {"CQ": {}}


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    """A server apart from the workers of the other modules."""
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def project(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_server: PostgresServer,
    redis_server: RedisServer,
    durability: dict[str, Any],
) -> Project:
    database = postgres_server.django(postgres_server.create_database())
    return Project.on_redis(
        tmp_path_factory.mktemp("upgrade"),
        redis_server,
        INSTALLED_APPS=APPS,
        DATABASES={"default": database},
        TIME_ZONE="Europe/Berlin",
        CELERY_RESULT_BACKEND="cq",
        **durability,
    )


@pytest.fixture(scope="module")
def held_by(project: Project) -> Path:
    """A file that some of the tasks wait for."""
    return project.directory / "gate"


@pytest.fixture(scope="module")
def upgraded(project: Project, held_by: Path, django_db_blocker: Any) -> Iterator[Celery]:
    """What this process reads with, after the upgrade."""
    with django_db_blocker.unblock(), publishing(project, ALIAS) as app:
        with connections[ALIAS].cursor() as cursor:
            cursor.execute(TABLES)
            cursor.execute(MANY, [1200])
            for row in old_tasks(held_by):
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
            f"1207 tasks are taken over, {1 + len(HELD)} are published.",
            "3 repeating tasks are schedules.",
        ]
        with scheduled(ALIAS):
            yield app


@pytest.fixture(scope="module")
def app(upgraded: Celery, project: Project) -> Iterator[Celery]:
    """The same, with a worker."""
    with project.worker("-c", str(PROCESSES)):
        yield upgraded


def upgrade(project: Project) -> list[str]:
    return project.python("-m", "django", "cq_upgrade").stdout.splitlines()


def test_what_has_not_begun_runs(
    app: Celery, project: Project, held_by: Path, kills: Callable[[], int]
) -> None:
    project.wait_records(1, "start", TIMEOUT)
    held_by.touch()

    assert Task.objects.get(pk=WAITS).wait(TIMEOUT) == 3
    for key in HELD:
        assert Task.objects.get(pk=key).wait(TIMEOUT) > 0
    runs = project.records()
    assert runs.keys() == {*HELD}
    deaths = dict(Task.objects.filter(pk__in=HELD).values_list("pk", "deaths"))
    assert [key for key in HELD if len(runs[key]) > 1 + deaths[key]] == []
    assert sum(deaths.values()) <= PROCESSES * kills()


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


MOMENTS = {
    "between its tables and these": ["SELECT to_regclass('django_cq_task')"],
    "between two batches": ["SELECT to_regclass('cq_tasklog')", "SELECT 1 FROM cq_task LIMIT 1"],
}


@pytest.mark.parametrize("seen", MOMENTS.values(), ids=MOMENTS)
def test_the_command_is_killed_and_run_again(
    seen: list[str], tmp_path: Path, project: Project, postgres_server: PostgresServer
) -> None:
    count, name = 4000, postgres_server.create_database()
    database = {"DATABASES": {"default": postgres_server.django(name)}}
    other = Project(tmp_path, **{**project.settings, **database})
    other.python("-m", "django", "migrate", "django_celery_beat", "--verbosity=0")
    with psycopg.connect(postgres_server.dsn(name), autocommit=True) as connection:

        def fetch(statement: str) -> Any:
            found = connection.execute(statement).fetchone()
            return found and found[0]

        connection.execute(TABLES)
        connection.execute(MANY, [count])
        connection.execute(SCHEDULE, ["0 3 * * *", ADD, "[1, 2]", True])
        command = [sys.executable, "-m", "django", "cq_upgrade"]
        with subprocess.Popen(command, env={**os.environ, **other.env}, cwd=ROOT) as process:
            wait_until(lambda: all(map(fetch, seen)), TIMEOUT, "the moment", 0.001)
            process.kill()
        assert process.returncode == -signal.SIGKILL, "it was done before"
        there = "SELECT count(*) FROM cq_task"
        before = fetch(there) if fetch("SELECT to_regclass('cq_tasklog')") else 0
        assert before < count

        assert upgrade(other) == [
            f"{count - before} tasks are taken over, 0 are published.",
            "1 repeating tasks are schedules.",
        ]
        assert fetch(there) == count
        assert (
            fetch(f"SELECT count(*) FROM django_celery_beat_periodictask WHERE task = '{ADD}'") == 1
        )
