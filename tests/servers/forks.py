"""Children that are forked from the process of the tests, and end whatever becomes of them."""

import multiprocessing
import os
import warnings
from collections.abc import Callable
from multiprocessing.context import ForkProcess

#: Seconds that a child may take.
PATIENCE = 30.0
#: Makes children that run one function, and what is registered for their end; what is raised ends
#: them with 1. One of `os.fork()` alone would run the rest of the tests as well.
fork = multiprocessing.get_context("fork")


def answer_of(function: Callable[[], int]) -> int:
    """Call a function in a child, which does nothing else, and return its answer: 0 to 255."""
    child = fork.Process(target=lambda: os._exit(function()))
    with warnings.catch_warnings():  # that there are threads, from Python 3.12 on
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    return _end_of(child)


def prove_end(child: ForkProcess) -> None:
    """Wait for a child that has been started; it has to end well."""
    assert _end_of(child) == 0


def _end_of(child: ForkProcess) -> int:
    child.join(PATIENCE)
    if child.exitcode is None:
        child.kill()  # else the process of the tests would wait for it at its own end
        child.join()
        raise AssertionError(f"a forked child goes on after {PATIENCE:g} s")
    return child.exitcode
