"""A child that is forked from the process of the tests ends, whatever it does."""

from __future__ import annotations

import os
import threading

import pytest

from tests.servers import forks
from tests.servers.forks import answer_of, fork, prove_end

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def stand_still() -> int:
    return int(threading.Event().wait())


def fail() -> int:
    raise KeyError("in the child")


def test_the_answer_is_that_of_the_child() -> None:
    parent = os.getpid()

    assert answer_of(lambda: 7 if os.getppid() == parent else 8) == 7


def test_what_is_raised_ends_the_child() -> None:
    assert answer_of(fail) == 1


def test_a_child_that_stands_still_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forks, "PATIENCE", 0.1)
    with pytest.raises(AssertionError, match="goes on"):
        answer_of(stand_still)
    child = fork.Process(target=stand_still)
    child.start()
    with pytest.raises(AssertionError, match="goes on"):
        prove_end(child)

    assert not child.is_alive()
