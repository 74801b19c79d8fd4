"""The demo does what its page offers, and leaves nothing behind however it ends."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers.daemon import ROOT
from tests.servers.demo import Demo, demo_environment
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

PROGRAMS = {"valkey-server": 1, "worker": 3, "events": 1, "uvicorn": 1, "beat": 1}


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with Demo(tmp_path) as running:
        yield running


def test_every_button_works_on_embedded_and_on_real_servers(
    own_redis: RedisServer, postgres_server: PostgresServer
) -> None:
    database = postgres_server.dsn(postgres_server.create_database())
    real = {"CQ_DEMO_REDIS_URL": own_redis.url, "DATABASE_URL": database}
    with ExitStack() as running:  # at the same time: each of them mostly waits
        for check in [_check(running), _check(running, **real)]:
            output, _ = check.communicate(timeout=300)
            assert check.returncode == 0, output
            assert output.count("ok  ") >= 11, output
            assert "none is done twice" in output
    assert own_redis.run("DBSIZE") > 0
    postgres_server.run("TABLE shop_order", database.rpartition("/")[2])


def test_one_at_a_time_ended_by_ctrl_c_and_by_a_program_that_dies(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        demo = Demo(tmp_path, port).start()
    with demo:
        assert f"Port {port} is not free" in demo.log
        commands = [" ".join(process.cmdline()) for process in demo.family]
        found = {word: sum(word in command for command in commands) for word in PROGRAMS}
        assert found == PROGRAMS
        assert "The demo runs already" in _refusal(demo)
        assert demo.running
        demo.signal(signal.SIGINT)
        assert demo.wait_end() == 0
        assert demo.start().url == f"http://127.0.0.1:{port}/"  # again, on the same files
        demo.program("worker").kill()
        assert demo.wait_end() == 1
        assert "worker has ended with exit code -9" in demo.log


def test_a_flush_loses_nothing_and_a_killed_supervisor_takes_everything_along(demo: Demo) -> None:
    port = demo.url.rpartition(":")[2].strip("/")
    flush = subprocess.run(
        [sys.executable, "-m", "demo", "flush", "--port", port],
        **demo.popen_options(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert flush.returncode == 0, flush.stdout + flush.stderr
    first, last = flush.stdout.splitlines()[0], flush.stdout.splitlines()[-1]
    assert first != last  # the tasks were under way
    assert last == "published 500  done 500  waiting 0  lost 0  twice 0"
    assert "The channel layer has lost its messages" in demo.log_of("worker")
    demo.signal(signal.SIGKILL)
    assert demo.wait_end() == -signal.SIGKILL


def test_there_is_no_flush_without_a_shop(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:  # where nobody answers
        command = [sys.executable, "-m", "demo", "flush", "--port", str(taken.getsockname()[1])]
        taken.close()
        flush = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert flush.returncode == 1
    assert "start `python -m demo` first" in flush.stderr


def test_files_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert f"'{tmp_path}/file/logs'. Set CQ_DEMO_VAR" in _refusal(Demo(tmp_path / "file"))


def _check(running: ExitStack, **servers: str) -> subprocess.Popen[str]:
    check = running.enter_context(
        subprocess.Popen(
            [sys.executable, "-m", "demo", "--check"],
            cwd=ROOT,
            env=demo_environment() | servers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )
    running.callback(_end, check)
    return check


def _end(check: subprocess.Popen[str]) -> None:
    check.terminate()
    try:
        check.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        check.kill()


def _refusal(demo: Demo) -> str:
    options = demo.popen_options()
    done = subprocess.run(demo.command(), capture_output=True, text=True, timeout=60, **options)
    assert done.returncode == 1, done.stdout
    return done.stderr
