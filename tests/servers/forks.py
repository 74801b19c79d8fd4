"""Children that are forked from the process of the tests, and end whatever becomes of them."""

import multiprocessing
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from typing import NoReturn

from tests.servers.waiting import wait_until

#: Seconds that a child may take.
PATIENCE = 30.0
#: Makes the children that `prove_end` is for.
fork = multiprocessing.get_context("fork")


def answer_of(function: Callable[[], int]) -> int:
    """Call a function in a child, which does nothing else, and return its answer: 0 to 255."""
    with warnings.catch_warnings():  # that there are threads, from Python 3.12 on
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _leave(function)
    codes: list[int] = []

    def ended() -> bool:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            codes.append(os.waitstatus_to_exitcode(status))
        return bool(codes)

    try:
        wait_until(ended, PATIENCE, "the forked child to end")
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    return codes[0]


def prove_end(child: ForkProcess) -> None:
    """Wait for a child that has been started; it has to end well."""
    child.join(PATIENCE)
    if child.exitcode is None:
        child.kill()  # else the process of the tests would wait for it at its own end
        child.join()
        raise AssertionError(f"a forked child goes on after {PATIENCE:g} s")
    assert child.exitcode == 0


def _leave(function: Callable[[], int]) -> NoReturn:
    # What is raised must not go on: the child would run the rest of the tests as well.
    code = 255
    try:
        code = function()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)
