"""The tables are made, unmade, and what the models say."""

from collections.abc import Callable
from typing import Any

from django.core.management import call_command
from django.db import connections

from tests.conformance.rows.conftest import TABLES
from tests.servers.databases import declared


def test_models_have_their_migration(database: str) -> None:
    call_command("makemigrations", "cq", check=True, dry_run=True, verbosity=0)


def test_migration_goes_forwards_and_backwards(
    make_database: Callable[[], dict[str, Any]], database: str
) -> None:
    with declared(moving=make_database()):
        for target, tables in ((None, set(TABLES)), ("zero", set()), (None, set(TABLES))):
            call_command(
                "migrate", "cq", *([target] if target else []), database="moving", verbosity=0
            )
            names = connections["moving"].introspection.table_names()
            assert {name for name in names if name.startswith("cq_")} >= tables
            assert bool({name for name in names if name.startswith("cq_")}) is bool(tables)
