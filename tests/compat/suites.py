"""What is run: pytest in a folder, with arguments."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.compat.sources import source

HERE = Path(__file__).parent

#: Needs Azure's client to be imported, and an account to do anything.
NOT_HERE = ("t/integration/test_backend.py",)
#: Files of Celery that say most about a broker in little time.
QUICK = ("test_tasks", "test_inspect", "test_group_chains", "test_serialization", "test_worker")


@dataclass(frozen=True)
class Suite:
    """Tests that are run by one pytest process; `rows` are parts of a test's id to report by."""

    name: str
    folder: Path
    arguments: Sequence[str]

    def row(self, test: str) -> str:
        """Return the row of the report that a test belongs to: its class here, else its file."""
        file, _, rest = test.partition("::")
        group = rest.partition("::")[0] if self.folder == HERE else Path(file).stem
        return f"{self.name}: {group}"


def suites(quick: bool) -> list[Suite]:
    """Return what is to be run, or the part of it that takes a few minutes."""
    return [celery(quick), kombu(), example()]


def celery(quick: bool = False) -> Suite:
    """Return Celery's integration tests."""
    tests = [f"t/integration/{name}.py" for name in QUICK] if quick else ["t/integration"]
    plugins = ("celery.contrib.pytest", "pytest_rerunfailures", "pytest_timeout")
    arguments = [f"-p{plugin}" for plugin in plugins]
    arguments += [f"--ignore={path}" for path in NOT_HERE]
    return Suite("celery", source("celery"), [*arguments, *tests])


def kombu() -> Suite:
    """Return kombu's common integration tests."""
    return _own("kombu", "kombu_cases.py")


def example() -> Suite:
    """Return what is done with Celery's example project."""
    return _own("example", "example_cases.py")


def _own(name: str, file: str) -> Suite:
    return Suite(name, HERE, ["-ppytest_timeout", "--timeout=120", file])
