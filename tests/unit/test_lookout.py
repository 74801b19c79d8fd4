"""How long a loop polls that other threads cannot wake."""

from collections.abc import Callable

import pytest

from cq_transport import lookout
from cq_transport.lookout import LONGEST, SHARE, SHORTEST, Lookout


class Loop:
    """A loop to which nothing happens: it polls until its timer is due."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.polls: list[float] = []
        self._callback: Callable[[], None] | None = None

    def call_later(self, seconds: float, callback: Callable[[], None]) -> "Loop":
        assert self._callback is None  # one timer is enough
        self.polls.append(seconds)
        self._callback = callback
        return self

    def cancel(self) -> None:
        self._callback = None

    def turn(self) -> bool:
        """Let the timer come; tell whether there was one."""
        if self._callback is None:
            return False
        callback, self._callback = self._callback, None
        self.now += self.polls[-1]
        callback()
        return True


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    loop = Loop()
    monkeypatch.setattr(lookout, "monotonic", lambda: loop.now)
    return loop


def test_polls_are_short_while_something_may_be_heard(loop: Loop) -> None:
    Lookout(loop, lambda: True).stir()
    begin = loop.now
    while len(loop.polls) < 60:
        quiet = loop.now - begin
        assert SHORTEST <= loop.polls[-1] <= min(max(SHORTEST, SHARE * quiet), LONGEST)
        assert loop.turn()
    assert loop.polls[0] == SHORTEST
    assert loop.polls[-1] == LONGEST


def test_what_happens_makes_the_next_poll_but_one_short(loop: Loop) -> None:
    looking = Lookout(loop, lambda: True)
    looking.stir()
    for _ in range(60):
        loop.turn()
    looking.stir()
    loop.turn()
    assert loop.polls[-2:] == [LONGEST, pytest.approx(SHARE * LONGEST)]


def test_polls_are_left_alone_when_nothing_is_unacknowledged(loop: Loop) -> None:
    unacknowledged = [1]
    looking = Lookout(loop, lambda: bool(unacknowledged))
    looking.stir()
    assert loop.turn()
    unacknowledged.clear()
    assert loop.turn()
    assert not loop.turn()
    looking.stir()
    assert loop.turn()


def test_it_leaves_the_loop(loop: Loop) -> None:
    looking = Lookout(loop, lambda: True)
    looking.stir()
    looking.close()
    assert not loop.turn()
