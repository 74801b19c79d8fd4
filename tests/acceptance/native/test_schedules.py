"""Real beats: a tick is lost by none, and run by one."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.db import connections

from cq_compat.models import Beat, Task
from cq_compat.native.schedules import schedule_task, unschedule_task
from tests.servers.databases import declared, sqlite
from tests.servers.postgres import PostgresServer
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.schedules import APPS, due, forget_schedules, scheduled
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryProcess

ALIAS = "scheduled"
DEADLINE = 60.0
#: Schedules that are due at once: enough for beat not to be done when it is stopped.
MANY = 100


class Stage:
    """A project with one worker, and servers that a case may stop."""

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


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[Stage]:
    directory = tmp_path_factory.mktemp("schedules")
    postgres = PostgresServer().start() if request.param == "postgresql" else None
    database = postgres.django(postgres.create_database()) if postgres else sqlite(directory)
    with RedisServer() as redis:
        project = Project.on_redis(
            directory,
            redis,
            INSTALLED_APPS=APPS,
            DATABASES={"default": database},
            CQ={},
            CELERY_RESULT_BACKEND="cq",
            CELERY_RESULT_EXPIRES=None,  # no schedule but those of the cases
            CELERY_IMPORTS=["tests.project.native"],
        )
        project.python("-m", "django", "migrate", "cq", "--verbosity=0")
        with (
            django_db_blocker.unblock(),
            declared(**{ALIAS: database}),
            scheduled(ALIAS),
            project.worker("-c", "2", "--without-gossip", "--without-mingle"),
        ):
            yield Stage(project, redis, postgres)
    if postgres:
        postgres.close()


@pytest.fixture(autouse=True)
def empty(stage: Stage) -> Iterator[None]:
    """Leave no schedule, and no task of one, to the next case."""
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
    assert Counter(map(len, stage.project.records().values())) == {1: len(names)}
    counts = PeriodicTask.objects.filter(name__in=names).values_list("total_run_count", flat=True)
    assert set(counts) == {1}


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
    ids = Task.objects.filter(state="SUCCESS").values_list("pk", flat=True)
    with stage.project.app() as app:
        assert {app.AsyncResult(task_id).result for task_id in ids} == {result}


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


@pytest.mark.parametrize("stage", ["postgresql"], indirect=True)  # SQLite would stand still, too
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


@pytest.mark.parametrize("stage", ["postgresql"], indirect=True)
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
