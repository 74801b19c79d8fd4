"""Celery's example Django project, copied to a folder of its own, and its processes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.compat.sources import source
from tests.servers.worker import CeleryProcess

SETTINGS = "tests.compat.example_settings"


class Example:
    """The project as it comes, under settings that say another broker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "django"
        shutil.copytree(source("celery") / "examples" / "django", self.folder)
        self.environment = {**os.environ, "DJANGO_SETTINGS_MODULE": SETTINGS}

    def manage(self, *arguments: str) -> str:
        """Run `manage.py` and return what it prints."""
        return self._run("manage.py", *arguments).stdout

    def check(self) -> list[str]:
        """Return the ids of the messages of Django's system checks."""
        return re.findall(r"\((\w+\.[CEW]\d+)\)", self._run("manage.py", "check").stderr)

    def celery(self, *arguments: str) -> str:
        """Run a `celery` command that ends by itself and return what it prints."""
        return self._run("-m", "celery", "-A", "proj", *arguments).stdout

    def shell(self, code: str) -> Any:
        """Run code in the project's shell and return what it has assigned to `answer`."""
        printed = self.manage("shell", "-c", f"import json\n{code}\nprint(json.dumps(answer))")
        return json.loads(printed.splitlines()[-1])

    def worker(self) -> "ExampleWorker":
        """Return the worker that the project's README starts, not started yet."""
        return ExampleWorker(self)

    def _run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert not done.returncode, f"{arguments}:\n{done.stdout}\n{done.stderr}"
        return done


class ExampleWorker(CeleryProcess):
    """`celery -A proj worker -l INFO`."""

    def __init__(self, example: Example) -> None:
        self.example = example
        super().__init__(
            "worker", "-l", "INFO", app="proj", env=example.environment, ready=r" ready\."
        )

    def popen_options(self) -> dict[str, object]:
        return {**super().popen_options(), "cwd": self.example.folder}
