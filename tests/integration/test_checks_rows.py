"""`manage.py check` names what would keep rows from doing their work, and the fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from celery import Celery, current_app
from django.core.checks import CheckMessage, run_checks
from django.core.management import call_command

from cq_compat.checks import check_broker, check_database, check_settings, check_tables
from cq_compat.lease import Lease
from tests.servers.databases import declared, sqlite
from tests.servers.project import Project

POSTGRES = "channels_postgres.core.PostgresChannelLayer"


@pytest.fixture(autouse=True)
def app() -> Iterator[Celery]:
    """A Celery app that is the current one, as a project's is."""
    before = current_app._get_current_object()
    app = Celery("checked", broker="channels://", set_as_current=False)
    app.set_default()
    app.set_current()
    yield app
    before.set_default()
    before.set_current()


@pytest.fixture
def file(tmp_path: Path, django_db_blocker: Any) -> Iterator[str]:
    """The alias of an SQLite database in a file, empty."""
    with django_db_blocker.unblock(), declared(tasks=sqlite(tmp_path)):
        yield "tasks"


def one(messages: list[CheckMessage]) -> CheckMessage:
    (found,) = messages
    assert found.hint
    return found


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"LEESE": 20}, "'LEESE'"),
        ({"LEASE": 1}, "3 seconds or more"),
        ({"LEASE": "20"}, "wrong type"),
        ({"MAX_DEATHS": 0}, "1 or more"),
        ({"LOG_LINES": -1}, "whole number"),
        ({"LOG_LINES": 0.5}, "whole number"),
        ({"ON_DATABASE_DOWN": "wait"}, "'publish'"),
        ({"RETENTION": {"SUCCESS": "a day"}}, "RETENTION"),
        ({"RETENTION": 60}, "wrong type"),
        ({"REDACT": "password"}, "list of patterns"),
        ({"REDACT": ["("]}, "no regular expression"),
        ("DURABLE", "must be a dict"),
    ],
)
def test_settings_that_mean_nothing(settings: Any, entries: Any, said: str) -> None:
    settings.CQ = entries
    found = one(check_settings(None))
    assert found.id == "cq.E004"
    assert said in found.msg


def test_an_option_of_a_task(app: Celery) -> None:
    @app.task(name="tests.kept", retention=-1, shared=False)  # type: ignore[untyped-decorator]
    def kept() -> None:
        """Do nothing."""

    found = one(check_settings(None))
    assert found.id == "cq.E004"
    assert "tests.kept" in found.msg


def test_good_settings_pass(settings: Any) -> None:
    settings.CQ = {"RETENTION": {"SUCCESS": 60, "FAILURE": None}, "REDACT": []}
    assert check_settings(None) == []


def test_a_missing_database(settings: Any) -> None:
    settings.CQ = {"DATABASE": "tasks"}
    found = one(check_settings(None))
    assert found.id == "cq.E005"
    assert "'default'" in found.msg


@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_tasks_before_their_rows(settings: Any) -> None:
    settings.CQ = {"SEND_ON_COMMIT": False}
    assert check_settings(None) == []
    settings.DATABASES = {"default": {**settings.DATABASES["default"], "ATOMIC_REQUESTS": True}}
    found = one(check_settings(None))
    assert found.id == "cq.W005"
    assert "ATOMIC_REQUESTS" in str(found.hint)


def test_a_database_in_memory(app: Celery) -> None:
    found = one(check_database(None))
    assert found.id == "cq.W006"
    app.conf.task_always_eager = True
    assert check_database(None) == []


def test_a_database_in_a_file(file: str) -> None:
    assert check_database(None) == []


def test_a_kind_of_database_that_has_no_dialect(file: str, settings: Any) -> None:
    with declared(dummy={"ENGINE": "django.db.backends.dummy"}):
        found = one(check_database(None))
    assert found.id == "cq.E006"
    assert "PostgreSQL" in found.msg


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"charset": "utf8mb4"}, []),
        ({"charset": "utf8"}, ["cq.W011"]),
        ({}, [] if django.VERSION >= (5, 2) else ["cq.W011"]),
        ({"read_default_file": "my.cnf"}, []),
    ],
    ids=str,
)
def test_the_character_set_of_mysql(file: str, options: dict[str, str], ids: list[str]) -> None:
    with declared(dolphins={"ENGINE": "django.db.backends.mysql", "OPTIONS": options}):
        assert [message.id for message in check_database(None)] == ids


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"transaction_mode": "IMMEDIATE"}, []),
        ({"transaction_mode": "exclusive"}, []),
        ({"transaction_mode": "DEFERRED"}, ["cq.W012"]),
        ({"transaction_mode": None}, ["cq.W012"]),
        ({}, ["cq.W012"]),
    ],
    ids=str,
)
def test_the_transactions_of_sqlite(
    settings: Any, tmp_path: Path, options: dict[str, Any], ids: list[str]
) -> None:
    entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "rows.sqlite3")}
    with declared(rows={**entry, "OPTIONS": options}):
        found = check_database(None)
    assert [message.id for message in found] == (ids if django.VERSION >= (5, 1) else [])
    assert all("IMMEDIATE" in str(message.hint) for message in found)


def test_missing_tables_are_asked_for_on_demand(file: str) -> None:
    found = one(check_tables(None, databases=[file]))
    assert found.id == "cq.W007"
    assert f"migrate --database {file}" in str(found.hint)
    assert check_tables(None) == [] == check_tables(None, databases=["default"])
    assert "cq.W007" in [message.id for message in run_checks(databases=[file])]
    call_command("migrate", "cq", database=file, verbosity=0, skip_checks=True)
    assert check_tables(None, databases=[file]) == []


def test_workers_that_share_sqlite(file: str) -> None:
    call_command("migrate", "cq", database=file, verbosity=0, skip_checks=True)
    leases = [Lease(f"w{n}@test", "channels://default") for n in (1, 2)]
    leases[0].renew()
    assert check_tables(None, databases=[file]) == []
    leases[1].renew()
    found = one(check_tables(None, databases=[file]))
    for lease in leases:
        lease.connection.close()
    assert found.id == "cq.W008"
    assert "PostgreSQL" in str(found.hint)


def test_a_layer_that_cannot_be_made(settings: Any) -> None:
    settings.INSTALLED_APPS = ["cq_compat", "channels_postgres"]
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": POSTGRES, "CONFIG": {"NAME": "shop"}}}
    found = one(check_broker(None))
    assert found.id == "cq.E007"
    assert "KeyError" in found.msg
    assert "TIME_ZONE" in str(found.hint)


def test_tasks_and_websockets_in_one_database(
    settings: Any, make_layer_database: Callable[[], dict[str, Any]]
) -> None:
    settings.INSTALLED_APPS = ["cq_compat", "channels_postgres"]
    config = {**make_layer_database(), "TIME_ZONE": None, "expiry": 86_400}
    del config["ENGINE"]
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": POSTGRES, "CONFIG": config},
        "pages": {"BACKEND": POSTGRES, "CONFIG": {**config, "prefix": "pages"}},
    }
    found = one(check_broker(None))
    assert found.id == "cq.W009"
    assert "'pages'" in found.msg
    settings.CHANNEL_LAYERS["pages"]["CONFIG"]["NAME"] = "another"
    settings.CHANNEL_LAYERS = dict(settings.CHANNEL_LAYERS)
    assert check_broker(None) == []


def test_bad_settings_stop_workers_and_publishers(project: Project) -> None:
    project.settings["CQ"] = {"LEASE": 1}
    checked = project.python("-m", "django", "check", code=1)
    assert "(cq.E004)" in checked.stderr
    assert "Traceback" not in checked.stderr
    worker = project.celery("worker", "-P", "solo", code=1)
    assert "The worker does not start: CQ['LEASE']" in worker.stderr
    publish = "import django; django.setup(); from tests.project.tasks import noop; noop.delay()"
    published = project.python("-c", publish, code=1)
    assert "CQ['LEASE']" in published.stderr
