"""The settler looks after what is under way, survives errors and begins anew in a child."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from cq_transport.errors import LayerUnreachable
from cq_transport.settler import Settler
from tests.servers.forks import answer_of
from tests.servers.waiting import wait_until

pytestmark = pytest.mark.unit


class Messages:
    """Pretends to have messages under way, one fewer after each look."""

    def __init__(self, unsettled: int, failures: int = 0) -> None:
        self.unsettled = unsettled
        self.failures = failures

    def settle(self) -> None:
        if self.failures:
            self.failures -= 1
            raise LayerUnreachable("away")
        self.unsettled -= 1


def test_everything_is_settled() -> None:
    settler, messages = Settler(), [Messages(3), Messages(5)]
    for found in messages:
        settler.look_after(found)
    wait_until(lambda: not any(found.unsettled for found in messages), what="settled messages")


def test_it_goes_on_after_a_rest() -> None:
    settler, messages = Settler(), Messages(1)
    settler.look_after(messages)
    wait_until(lambda: not messages.unsettled, what="the first message")
    messages.unsettled = 2
    settler.look_after(messages)
    wait_until(lambda: not messages.unsettled, what="the later messages")


def test_failures_are_logged_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    settler, messages = Settler(), Messages(1, failures=5)
    with caplog.at_level(logging.INFO, logger="cq_transport.settler"):
        settler.look_after(messages)
        wait_until(lambda: "is back" in caplog.text, what="a log line about the recovery")
    assert messages.unsettled == 0
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_an_unexpected_error_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Messages):
        def settle(self) -> None:
            raise RuntimeError("a bug")

    settler, others = Settler(), Messages(5)
    settler.look_after(Broken(1))
    settler.look_after(others)
    wait_until(lambda: not others.unsettled, what="the messages of the others")
    assert "a bug" in caplog.text


def test_flush_tells_what_is_left() -> None:
    settler = Settler()
    settler.look_after(Messages(2, failures=10_000))
    settler.look_after(Messages(2))
    assert settler.flush(0.5) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_begins_with_nothing() -> None:
    settler = Settler()
    settler.look_after(Messages(1, failures=10_000))
    assert answer_of(lambda: settler.flush(0)) == 0


#: A process whose first message is published by what it does at its end; the last word is its own.
LATE = """
import atexit
atexit.register(lambda: print(told.unsettled))

from cq_transport.settler import settler
from tests.unit.test_settler import Messages

class Told(Messages):
    def settle(self):
        self.unsettled = 0

told = Told(2)
atexit.register(lambda: settler.look_after(told))
"""


def test_messages_of_the_end_of_a_process_are_settled() -> None:
    ended = subprocess.run([sys.executable, "-c", LATE], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("0\n", "")
