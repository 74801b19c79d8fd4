"""A project with Django's admin, in this process, and all of it in a database on PostgreSQL."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.checks.registry import registry
from django.core.management import call_command
from django.test import Client, override_settings

from cq_compat.models import Task, Worker
from tests.project.site import SITE
from tests.servers.databases import declared
from tests.servers.postgres import PostgresServer

ALIAS = "operated"


class OneDatabase:
    """A router that puts everything on the one database."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return ALIAS

    db_for_write = db_for_read


@pytest.fixture(scope="package")
def database(postgres_server: PostgresServer, django_db_blocker: Any) -> Iterator[str]:
    """The alias of the database, with every table."""
    entry = postgres_server.django(postgres_server.create_database())
    checks = set(registry.registered_checks)
    site = override_settings(**SITE, DATABASE_ROUTERS=[OneDatabase()])
    with django_db_blocker.unblock(), declared(**{ALIAS: entry}), site:
        call_command("migrate", database=ALIAS, verbosity=0)
        yield ALIAS
    registry.registered_checks = checks  # the admin's own need the apps that are gone again


@pytest.fixture
def empty(database: str) -> None:
    """Let no task be left of an earlier case."""
    Task.objects.all().delete()
    Worker.objects.all().delete()


@pytest.fixture
def operator(database: str) -> Iterator[Client]:
    """Who may do everything."""
    from django.contrib.auth.models import User  # an app of this project, not of the tests

    yield from _logged_in(User.objects.create_superuser("operator"))


@pytest.fixture
def onlooker(database: str) -> Iterator[Client]:
    """Who may look at tasks and retry them, and no more."""
    from django.contrib.auth.models import Permission, User

    user = User.objects.create_user("onlooker", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_task", "view_worker", "retry_task"])
    )
    yield from _logged_in(user)


def _logged_in(user: Any) -> Iterator[Client]:
    client = Client()
    client.force_login(user)
    yield client
    user.delete()
