"""Real beats: a tick is lost by none, and run by one."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.checks.registry import registry
from django.core.management import call_command
from django.db import connections
from django.test import Client, override_settings

from cq_compat.models import Beat, Task
from cq_compat.native.schedules import schedule_task, unschedule_task
from tests.acceptance.native.stage import PROCESSES
from tests.project.site import SITE
from tests.servers.databases import SQLITE, declared, sqlite
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.schedules import (
    APPS,
    LONG_AGO,
    OneDatabase,
    due,
    forget_schedules,
    form,
    scheduled,
)
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryProcess

ALIAS = "scheduled"
DEADLINE = 60.0
#: Schedules that are due at once: enough for beat not to be done when it is stopped.
MANY = 100
ADD = "/admin/django_celery_beat/periodictask/add/"
OPTIONS = ("--without-gossip", "--without-mingle")


class Stage:
    """A project, and servers that a case may stop."""

    #: Counts the workers that were killed in the case.
    kills: Callable[[], int]

    def __init__(self, project: Project, redis: RedisServer, postgres: PostgresServer | None):
        self.project, self.redis, self.postgres = project, redis, postgres

    def beat(self) -> CeleryProcess:
        """Return a beat that is not started yet."""
        return self.project.process("beat", "-l", "INFO", "-S", "cq", ready="beat: Starting")

    def names(self, **values: Any) -> Counter[str]:
        """Return how many tasks each schedule has."""
        tasks = Task.objects.filter(periodic_task_name__isnull=False, **values)
        return Counter(tasks.values_list("periodic_task_name", flat=True))

    def wait_ticks(self, count: int, **values: Any) -> Counter[str]:
        """Return how many tasks each schedule has once there are so many in all."""
        return wait_until(
            lambda: found if (found := self.names(**values)).total() >= count else None,
            DEADLINE,
            lambda: f"{count} ticks, saw {self.names(**values).total()}",
        )


@pytest.fixture(scope="module")
def durability() -> dict[str, Any]:
    """Settings that say what becomes of a killed worker's tasks."""
    return {"CQ": {}}


@pytest.fixture(scope="module", params=["postgresql", SQLITE])
def scene(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    django_db_blocker: Any,
    durability: dict[str, Any],
) -> Iterator[Stage]:
    """A stage without workers."""
    directory = tmp_path_factory.mktemp("schedules")
    postgres = PostgresServer().start() if request.param == "postgresql" else None
    database = postgres.django(postgres.create_database()) if postgres else sqlite(directory)
    with RedisServer() as redis:
        project = Project.on_redis(
            directory,
            redis,
            INSTALLED_APPS=APPS,
            DATABASES={"default": database},
            CELERY_RESULT_BACKEND="cq",
            CELERY_RESULT_EXPIRES=None,  # no schedule but those of the cases
            CELERY_IMPORTS=["tests.project.native"],
            **durability,
        )
        project.python("-m", "django", "migrate", "cq", "--verbosity=0")
        with django_db_blocker.unblock(), declared(**{ALIAS: database}), scheduled(ALIAS):
            yield Stage(project, redis, postgres)
    if postgres:
        postgres.close()


@pytest.fixture(scope="module")
def stage(scene: Stage) -> Iterator[Stage]:
    with scene.project.worker("-c", str(PROCESSES), *OPTIONS):
        yield scene


@pytest.fixture(autouse=True)
def empty(stage: Stage, kills: Callable[[], int]) -> Iterator[None]:
    """Leave no schedule, and no task of one, to the next case."""
    stage.kills = kills
    yield
    forget_schedules()
    wait_until(lambda: not Task.objects.live().exists(), DEADLINE, "the worker to be done")
    Task.objects.finished().delete()
    Beat.objects.all().delete()
    stage.project.record_path.unlink(missing_ok=True)


def many(prefix: str) -> list[str]:
    """Make schedules that are due, and return their names."""
    names = [f"{prefix} {number}" for number in range(MANY)]
    due(*names)
    return names


def leading(*beats: CeleryProcess) -> CeleryProcess:
    """Return the beat that leads."""

    def found() -> CeleryProcess | None:
        lead = Beat.objects.filter(leads_until__isnull=False).first()
        return next((beat for beat in beats if lead and beat.pid == lead.pid), None)

    return wait_until(found, DEADLINE, "one of the beats to lead")


def ran(stage: Stage, names: list[str]) -> None:
    """Assert that each schedule has had one tick, whose task has run once."""
    from django_celery_beat.models import PeriodicTask

    assert stage.wait_ticks(len(names), state="SUCCESS") == Counter(names)
    assert stage.names() == Counter(names)
    runs = {task_id: len(events) for task_id, events in stage.project.records().items()}
    deaths = dict(Task.objects.values_list("pk", "deaths"))
    assert runs.keys() == deaths.keys()
    assert [one for one in runs if runs[one] > 1 + deaths[one]] == []
    assert sum(deaths.values()) <= PROCESSES * stage.kills()
    counts = PeriodicTask.objects.filter(name__in=names).values_list("total_run_count", flat=True)
    assert set(counts) == {1}


def results(stage: Stage) -> set[int]:
    """Return what the ticks' tasks have returned."""
    ids = Task.objects.filter(state="SUCCESS").values_list("pk", flat=True)
    with stage.project.app() as app:
        return {app.AsyncResult(task_id).result for task_id in ids}


@pytest.mark.parametrize(
    ("name", "args", "result"),
    [("tests.project.tasks.add", (1, 2), 3), ("tests.project.native.calc_a", (2,), 20)],
    ids=["celery", "own"],
)
def test_a_schedule_is_made_while_beat_runs(
    stage: Stage, name: str, args: tuple[int, ...], result: int
) -> None:
    with stage.beat() as beat:
        schedule_task(apps, timedelta(seconds=1), name, args, name="each second")
        stage.wait_ticks(2, state="SUCCESS")
        unschedule_task(apps, "each second")
        assert beat.terminate() == 0
    assert results(stage) == {result}


@pytest.fixture
def admin(stage: Stage) -> Iterator[Client]:
    """Who may do everything in the admin of a site that has the schedules."""
    checks = set(registry.registered_checks)
    with override_settings(**SITE, DATABASE_ROUTERS=[OneDatabase(ALIAS)]):
        from django.contrib.auth.models import User  # an app of this site, not of the tests

        call_command("migrate", database=ALIAS, verbosity=0)
        user = User.objects.create_superuser("operator")
        client = Client()
        client.force_login(user)
        yield client
        user.delete()
    registry.registered_checks = checks  # the admin's own need the apps that are gone again


def test_schedules_of_each_kind_are_made_in_the_admin(stage: Stage, admin: Client) -> None:
    from django_celery_beat import models

    kinds = {
        "crontab": models.CrontabSchedule.objects.create(minute="0", hour="0", month_of_year="1"),
        "interval": models.IntervalSchedule.objects.create(every=1000, period="days"),
        "solar": models.SolarSchedule.objects.create(
            event="solar_noon", latitude="52.5", longitude="13.4"
        ),
        "clocked": models.ClockedSchedule.objects.create(clocked_time=LONG_AGO),
    }
    tasks = {"tests.project.native.calc_a": "[2]", "tests.project.tasks.add": "[12, 8]"}
    for (kind, row), (task, args) in zip(kinds.items(), [*tasks.items()] * 2, strict=True):
        choice = {kind: row.pk, "name": kind, "regtask": task, "args": args}
        data = form(admin.get(ADD), **choice, one_off=kind == "clocked")
        assert admin.post(ADD, data).status_code == 302, kind
    models.PeriodicTask.objects.update(last_run_at=LONG_AGO)

    with stage.beat() as beat:
        assert stage.wait_ticks(len(kinds), state="SUCCESS") == Counter([*kinds])
        assert beat.terminate() == 0
    with stage.beat():  # which finds that what was due once has been
        wait_until(lambda: not models.PeriodicTask.objects.get(name="clocked").enabled, DEADLINE)
    assert stage.names() == Counter([*kinds])
    assert results(stage) == {20}


def test_beat_is_killed_at_work_beside_another(stage: Stage) -> None:
    with stage.beat() as one, stage.beat() as two:
        first = leading(one, two)
        names = many("missed")
        stage.wait_ticks(5)
        first.kill()
        assert stage.names().total() < MANY, "it was done before it was killed"
        ran(stage, names)
        second = two if first is one else one
        assert leading(second) is second


def test_beat_is_killed_at_work_and_started_again(stage: Stage) -> None:
    names = many("again")
    for some in (5, MANY // 2):
        with stage.beat() as beat:
            stage.wait_ticks(some)
            beat.kill()
            assert stage.names().total() < MANY, "it was done before it was killed"
    with stage.beat():
        ran(stage, names)


@pytest.mark.parametrize("scene", ["postgresql"], indirect=True)  # SQLite would stand still, too
def test_beat_stands_still_at_work_and_goes_on(stage: Stage) -> None:
    with stage.beat() as one, stage.beat() as two:
        first = leading(one, two)
        names = many("late")
        stage.wait_ticks(5)
        first.freeze()
        assert stage.names().total() < MANY, "it was done before it stood still"
        # It may have stopped between a tick's note and its end: others leave that one alone.
        stage.wait_ticks(MANY - 1)
        first.thaw()
        ran(stage, names)


def test_the_broker_is_down_and_beats_hand_over(stage: Stage) -> None:
    stage.redis.stop()
    with stage.beat() as one, stage.beat() as two:
        first = leading(one, two)
        second = two if first is one else one
        assert first.terminate() == 0
        assert leading(second) is second
        names = many("unsent")
        assert stage.wait_ticks(MANY) == Counter(names)
        assert stage.names(sent_at=None) == Counter(names)
        stage.redis.start()
        ran(stage, names)
        assert second.terminate() == 0
    assert Beat.objects.get().leads_until is None


@pytest.mark.parametrize("scene", ["postgresql"], indirect=True)
def test_the_database_is_down(stage: Stage) -> None:
    assert stage.postgres is not None
    with stage.beat() as beat:
        leading(beat)
        stage.postgres.kill()
        beat.wait_log("the database does not answer")
        stage.postgres.start()
        connections[ALIAS].close()
        due("later")
        ran(stage, ["later"])


def test_a_tick_is_a_part_of_what_still_runs(stage: Stage, tmp_path: Path) -> None:
    from django_celery_beat.models import PeriodicTask

    gate = tmp_path / "gate"
    hold = "tests.project.tasks.hold"
    schedule_task(apps, timedelta(seconds=1), hold, (str(gate),), name="long", coalesce=True)
    schedules = PeriodicTask.objects.filter(name="long")
    with stage.beat():
        stage.wait_ticks(1)
        wait_until(lambda: schedules.get().total_run_count >= 3, DEADLINE, "further ticks")
        assert stage.names().total() == 1
        gate.touch()
        stage.wait_ticks(2)
        unschedule_task(apps, "long")
