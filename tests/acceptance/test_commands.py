"""Every `celery` command over `channels://`; none of them imports anything to know the scheme."""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from celery import Celery

from tests.acceptance.tasks import PACKAGE, TIMEOUT, send
from tests.servers.project import Project
from tests.servers.redis import RedisServer
from tests.servers.waiting import wait_until
from tests.servers.worker import CeleryWorker

NAME = "commanded@test"
TO_IT = ("-d", NAME, "-t", "20")
INSPECTIONS = {
    "active": "",
    "active_queues": "celery",
    "clock": "clock",
    "conf": "CELERY_BROKER_URL",
    "memdump": "",
    "memsample": "",
    "ping": "pong",
    "query_task some-id": "",
    "registered": f"{PACKAGE}.add",
    "report": "transport:channels",
    "reserved": "",
    "revoked": "",
    "scheduled": "",
    "stats": "prefetch_count",
}
CONTROLS = {
    f"rate_limit {PACKAGE}.where 10/m": "new rate limit set",
    f"time_limit {PACKAGE}.where 50 60": "time limits set",
    "add_consumer other": "add consumer other",
    "cancel_consumer other": "no longer consuming from other",
    "enable_events": "task events enabled",
    "disable_events": "task events disabled",
    "pool_grow 1": "pool will grow",
    "pool_shrink 1": "pool will shrink",
    "pool_restart": "reload started",
    "revoke some-id": "flagged as revoked",
    "revoke_by_stamped_headers tenant=a": "",
    "terminate TERM some-id": "terminate: tasks unknown|flagged",
    "autoscale 3 1": "Autoscale not enabled",
    "heartbeat": "",
}
SETTINGS = {
    "CELERY_WORKER_POOL_RESTARTS": True,
    "CELERY_BEAT_SCHEDULE": {
        "tick": {"task": f"{PACKAGE}.record", "schedule": 0.2, "args": ["tick"]}
    },
}


@pytest.fixture(scope="module", autouse=True)
def worker(shared: Project) -> Iterator[CeleryWorker]:
    with shared.worker("-c", "2", nodename=NAME) as worker:
        yield worker


def waiting(shared: Project, queue: str) -> int:
    """Return how many messages wait, as `celery amqp` tells."""
    output = shared.celery("amqp", "queue.declare", queue, "True").stdout
    found = re.search(r"messages:(\d+)", output)
    assert found, output
    return int(found[1])


@pytest.mark.parametrize("command", INSPECTIONS)
def test_inspect(shared: Project, command: str) -> None:
    output = shared.celery("inspect", *TO_IT, *command.split()).stdout

    assert f"{NAME}: OK" in output and "1 node online" in output
    assert INSPECTIONS[command] in output


def test_inspect_as_json(shared: Project) -> None:
    output = shared.celery("inspect", "-j", *TO_IT, "ping").stdout

    assert json.loads(output) == {NAME: {"ok": "pong"}}


@pytest.mark.parametrize("command", CONTROLS)
def test_control(shared: Project, command: str) -> None:
    output = shared.celery("control", *TO_IT, *command.split(), code=None).stdout

    assert f"{NAME}: " in output or command == "heartbeat"
    assert re.search(CONTROLS[command], output), output


def test_control_shutdown(shared: Project) -> None:
    with shared.worker("--pool=solo", "-Q", "short", nodename="short@test") as worker:
        shared.celery("control", "-d", "short@test", "-t", "1", "shutdown", code=None)
        assert worker.wait() == 0


def test_status(shared: Project) -> None:
    assert f"{NAME}: OK" in shared.celery("status", "-t", "5", "-d", NAME).stdout


def test_report(shared: Project) -> None:
    assert "transport:channels" in shared.celery("report").stdout


def test_call_and_result(shared: Project) -> None:
    task_id = shared.celery("call", f"{PACKAGE}.add", "-a", "[20, 22]").stdout.strip()
    wait_until(lambda: "42" in shared.celery("result", task_id).stdout, TIMEOUT, "the result")


def test_call_with_the_broker_on_the_command_line(shared: Project) -> None:
    project = Project(shared.directory, **{**shared.settings, "CELERY_BROKER_URL": "memory://"})
    done = project.python(
        *("-m", "celery", "-A", "tests.project", "-b", "channels://"),
        *("call", f"{PACKAGE}.record", "-a", '["by option"]'),
    )

    shared.wait_recorded([done.stdout.strip()], "by option")


def test_purge(shared: Project, app: Celery) -> None:
    for _ in range(5):
        send(app, "noop", queue="unattended")

    assert "Purged 5 messages" in shared.celery("purge", "-f", "-Q", "unattended").stdout
    assert waiting(shared, "unattended") == 0


def test_amqp(shared: Project) -> None:
    def amqp(*arguments: str) -> str:
        return shared.celery("amqp", *arguments).stdout

    assert "OK" in amqp("exchange.declare", "things", "topic")
    assert "messages:0" in amqp("queue.declare", "bag")
    assert "OK" in amqp("queue.bind", "bag", "things", "a.#")
    assert "OK" in amqp("basic.publish", "hello", "things", "a.b")
    assert waiting(shared, "bag") == 1
    assert "hello" in amqp("basic.get", "bag")
    amqp("basic.publish", "again", "things", "a.b")
    assert "2 messages deleted" in amqp("queue.purge", "bag")  # what was not acknowledged is back
    assert "OK" in amqp("queue.delete", "bag")
    assert "OK" in amqp("exchange.delete", "things", "False")


def test_list_bindings(shared: Project) -> None:
    lines = shared.celery("list", "bindings").stdout.splitlines()

    assert next(line.split() for line in lines if line.startswith("celery")) == ["celery"] * 3


def test_graph(shared: Project) -> None:
    assert "Consumer" in shared.celery("graph", "bootsteps").stdout
    assert NAME in shared.celery("graph", "workers").stdout


def test_shell(shared: Project) -> None:
    code = "print('sum', celery.send_task('tests.project.tasks.add', (1, 2)).get(timeout=30))\n"
    done = shared.python(*("-m", "celery", "-A", "tests.project", "shell", "--python"), stdin=code)

    assert "sum 3" in done.stdout


def test_layer(shared: Project, app: Celery) -> None:
    output = shared.celery("cq", "layer").stdout

    assert output.splitlines() == [
        "channels://default: RedisChannelLayer on 1 Redis host(s)",
        "celery: 0",
    ]


def test_beat(shared: Project, tmp_path: Path) -> None:
    with shared.process("beat", "-l", "INFO", "-s", str(tmp_path / "schedule")):
        shared.wait_records(3, "tick")


def test_multi(shared: Project, app: Celery, tmp_path: Path) -> None:
    files = (f"--pidfile={tmp_path}/%n.pid", f"--logfile={tmp_path}/%n.log")
    names = ("one@test", "two@test")

    def multi(command: str, *options: str) -> str:
        return shared.python(
            *("-m", "celery", "-A", "tests.project", "multi", command, *names),
            *("-A", "tests.project", *files, *options),
        ).stdout

    def pids() -> list[int]:
        return [int(path.read_text()) for path in tmp_path.glob("*.pid")]

    try:
        multi("start", "--pool=solo", "-Q", "several")
        for name in names:
            wait_until(lambda: app.control.ping(destination=[name], timeout=1), TIMEOUT, name)  # noqa: B023
        assert send(app, "add", 1, 1, queue="several").get(timeout=TIMEOUT) == 2
        running = pids()
        multi("stopwait")
        # It is content with a pidfile that is gone; its process ends a moment later.
        wait_until(lambda: not any(map(psutil.pid_exists, running)), TIMEOUT, "their end")
    finally:
        for pid in pids():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_migrate_and_back(shared: Project, app: Celery, redis_server: RedisServer) -> None:
    elsewhere = redis_server.url.removesuffix("/0") + "/1"
    results = [send(app, "add", n, n, queue="moving") for n in range(10)]

    def migrate(source: str, destination: str) -> None:
        shared.celery("migrate", "-a", "-Q", "moving", "-t", "1", source, destination)

    migrate("channels://", elsewhere)
    assert waiting(shared, "moving") == 0
    with redis_server.client(db=1) as client:
        assert client.llen("moving") == 10

    migrate(elsewhere, "channels://")
    assert waiting(shared, "moving") == 10
    app.control.add_consumer("moving", destination=[NAME], reply=True, timeout=TIMEOUT)
    assert [result.get(timeout=TIMEOUT) for result in results] == [2 * n for n in range(10)]
