"""The test project as a test sees it: its settings, its Celery app, its processes, its records."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery
from django.test import override_settings
from kombu import pools

from tests.project.tasks import RECORD
from tests.servers import forked
from tests.servers.daemon import ROOT
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryProcess, CeleryWorker


class Project:
    """The project `tests.project` under given Django settings; `directory` keeps its records."""

    def __init__(
        self, directory: Path, *, environment: Mapping[str, str] | None = None, **settings: Any
    ) -> None:
        self.directory = directory
        self.settings = settings
        self.environment = dict(environment or {})
        self.record_path = directory / "records"

    @classmethod
    def on_redis(
        cls,
        directory: Path,
        server: RedisServer,
        *,
        config: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> "Project":
        """Return a project over `channels://` whose layer and results are on `server`.

        `config` replaces and adds entries of the layer's CONFIG.
        """
        layer = {"hosts": [server.url], "capacity": 1_000_000, "expiry": 86_400, **(config or {})}
        backend = "channels_redis.core.RedisChannelLayer"
        defaults = {
            "CHANNEL_LAYERS": {"default": {"BACKEND": backend, "CONFIG": layer}},
            "CELERY_BROKER_URL": "channels://",
            "CELERY_RESULT_BACKEND": server.url,
        }
        return cls(directory, **{**defaults, **settings})

    @property
    def env(self) -> dict[str, str]:
        """The environment variables of the project's processes."""
        return {
            "DJANGO_SETTINGS_MODULE": "tests.project.settings",
            "CQ_TEST_SETTINGS": json.dumps(self.settings),
            RECORD: str(self.record_path),
            **self.environment,
        }

    def worker(
        self, *arguments: str, nodename: str | None = None, app: str = "tests.project"
    ) -> CeleryWorker:
        """Return a worker that is not started yet."""
        return CeleryWorker(*arguments, app=app, env=self.env, nodename=nodename)

    def process(self, command: str, *arguments: str, ready: str = r"\S") -> CeleryProcess:
        """Return another long-running `celery` command that is not started yet."""
        return CeleryProcess(command, *arguments, env=self.env, ready=ready)

    def celery(
        self, *arguments: str, timeout: float = 60, code: int | None = 0
    ) -> "subprocess.CompletedProcess[str]":
        """Run a `celery` command that ends by itself; `code` is the exit code to expect."""
        return self.python(
            "-m", "celery", "-A", "tests.project", *arguments, timeout=timeout, code=code
        )

    def python(
        self, *arguments: str, timeout: float = 60, code: int | None = 0, stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Run the interpreter in the project's environment; None takes every exit code."""
        options = {"cwd": ROOT, "env": {**os.environ, **self.env}}
        done = forked.run([sys.executable, *arguments], options, stdin, timeout)
        assert code is None or done.returncode == code, (
            f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        return done

    def app(self) -> Celery:
        """Return a Celery app in this process, configured as the project's is.

        A broker URL `channels://` reads the channel layers of this process' own Django settings.
        """
        app = Celery("tests.project", set_as_current=False)
        app.config_from_object(
            {k: v for k, v in self.settings.items() if k.startswith("CELERY_")}, namespace="CELERY"
        )
        return app

    @contextmanager
    def client(self) -> Iterator[Celery]:
        """Give this process the project's channel layers, and yield an app that uses them."""
        pools.reset()  # kombu shares connections by URL: those of other layers have the same one
        with override_settings(CHANNEL_LAYERS=self.settings["CHANNEL_LAYERS"]), self.app() as app:
            yield app
        pools.reset()

    def records(self) -> dict[str, list[str]]:
        """Return the recorded events in their order, by task id."""
        events: dict[str, list[str]] = defaultdict(list)
        if self.record_path.exists():
            whole, _, _ = self.record_path.read_text().rpartition("\n")  # one may be on its way
            for line in whole.splitlines():
                task_id, event = line.split(" ", 1)
                events[task_id].append(event)
        return dict(events)

    def recorded(self) -> int:
        """Return how many events are recorded; this is cheaper than to read them."""
        return self.record_path.read_bytes().count(b"\n") if self.record_path.exists() else 0

    def wait_records(self, count: int, event: str, timeout: float = 30.0) -> dict[str, list[str]]:
        """Return the records once `count` tasks have recorded `event`."""

        def seen() -> int:
            return sum(event in events for events in self.records().values())

        wait_until(
            lambda: seen() >= count, timeout, lambda: f"{count} tasks to {event}, saw {seen()}"
        )
        return self.records()

    def wait_recorded(
        self, ids: Iterable[str], event: str, timeout: float = 30.0
    ) -> dict[str, list[str]]:
        """Return the records of these tasks once each has recorded `event`."""
        wanted = list(ids)

        def missing() -> list[str]:
            records = self.records()
            return [task_id for task_id in wanted if event not in records.get(task_id, ())]

        wait_until(
            lambda: not missing(), timeout, lambda: f"{event} of {len(missing())} more", 0.02
        )
        records = self.records()
        return {task_id: records[task_id] for task_id in wanted}
