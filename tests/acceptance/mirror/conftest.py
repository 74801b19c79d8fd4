"""What is observed from this process goes to the stage's database."""

from collections.abc import Iterator

import pytest

from cq_compat.observing import observer


@pytest.fixture(scope="package", autouse=True)
def _database(django_db_blocker: object) -> Iterator[None]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        yield


@pytest.fixture(scope="module", autouse=True)
def _observer(_database: None) -> Iterator[None]:
    """Let the observer of this process begin anew: its connection is that of another database."""
    observer.close()
    yield
    observer.close()
