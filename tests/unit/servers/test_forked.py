"""What is forked is as if it had been started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.servers.forked import ROOT, SWITCH, Forked, arguments_of, may_fork, run

TELL = """
import atexit, os, sys
atexit.register(print, "the end")
print(os.getcwd(), os.environ["MARK"], sys.argv[1:], sys.stdin.read(), __name__)
sys.exit(3)
"""


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    return {"cwd": tmp_path, "env": {**os.environ, "MARK": "mark"}}


@pytest.mark.parametrize("forks", ["0", "1"])
@pytest.mark.parametrize("kind", ["code", "script", "module"])
def test_it_is_given_what_a_process_is_given(
    kind: str,
    forks: str,
    tmp_path: Path,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(SWITCH, forks)
    (tmp_path / "tell.py").write_text(TELL)
    first = {"code": ["-c", TELL], "script": ["tell.py"], "module": ["-m", "tell"]}[kind]

    done = run([sys.executable, *first, "one"], options, "typed", 60)

    assert done.stdout == f"{tmp_path} mark ['one'] typed __main__\nthe end\n"
    assert (done.returncode, done.stderr) == (3, "")


def test_errors_are_told_apart_or_not(options: dict[str, Any]) -> None:
    fail = [sys.executable, "-c", "print('said'); raise ValueError('why')"]

    apart, merged = run(fail, options, "", 60), run(fail, options, "", 60, merged=True)

    assert (apart.returncode, apart.stdout) == (1, "said\n")
    assert apart.stderr.endswith("ValueError: why\n")
    assert merged.stdout == "said\n" + apart.stderr


def test_it_is_interrupted_and_ends_by_signals(options: dict[str, Any]) -> None:
    pause = ["-c", "import signal; signal.pause()"]
    with open(os.devnull, "r+b") as nothing:
        for sent in (signal.SIGTERM, signal.SIGKILL):
            process = Forked(pause, options, (nothing, nothing, nothing))
            assert os.getsid(process.pid) == process.pid
            assert process.poll() is None
            os.kill(process.pid, sent)
            assert process.wait(60) == process.poll() == -sent


def test_what_takes_too_long_is_ended(options: dict[str, Any]) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run([sys.executable, "-c", "import signal; signal.pause()"], options, "", 0.01)


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (["-m", "celery", "worker", "--pool=gevent"], {}),
        (["-W", "ignore", "-c", "pass"], {}),
        (["-c", "pass"], {"PYTHONHASHSEED": "1"}),
        ([], {}),
    ],
)
def test_what_would_be_another_process(arguments: Sequence[str], changed: dict[str, str]) -> None:
    env = {**os.environ, **changed}

    assert not may_fork(arguments, {"cwd": ROOT, "env": env})
    assert may_fork(["-m", "celery", "worker"], {"cwd": ROOT, "env": dict(os.environ)})


def test_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "0")
    assert not may_fork(["-m", "celery"], {"cwd": ROOT, "env": dict(os.environ)})


def test_commands_of_the_interpreter() -> None:
    beside = Path(sys.executable).parent

    assert arguments_of([sys.executable, "-m", "celery"]) == ["-m", "celery"]
    assert arguments_of([sys.executable, "-u", "-m", "celery"]) == ["-m", "celery"]
    assert arguments_of([str(beside / "celery"), "worker"]) == [str(beside / "celery"), "worker"]
    assert arguments_of(["/bin/sh", "-c", "true"]) == []
