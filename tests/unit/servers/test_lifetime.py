"""Servers end with the process that started them, however it ends."""

import json
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from tests.servers.daemon import ROOT
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux has a parent-death signal"
)

WORKER = {
    "DJANGO_SETTINGS_MODULE": "tests.project.settings",
    "CQ_TEST_SETTINGS": json.dumps({"CELERY_BROKER_URL": "memory://", "INSTALLED_APPS": []}),
}
START = """
import sys
from tests.servers.{module} import {name}
server = {name}({arguments}).start()
print(server.pid, server.directory, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("redis", "RedisServer", ""),
        ("postgres", "PostgresServer", ""),
        ("proxy", "Proxy", "'127.0.0.1:1'"),
        ("worker", "CeleryWorker", f"'-P', 'solo', env={WORKER!r}"),
    ],
)
def test_dies_with_a_killed_parent(module: str, name: str, arguments: str) -> None:
    script = START.format(module=module, name=name, arguments=arguments)
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid, directory = parent.stdout.readline().split()
        assert psutil.pid_exists(int(pid))
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: _gone(int(pid)), what="the server to end")
    shutil.rmtree(directory)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
