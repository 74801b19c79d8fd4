"""Wait for a condition with a deadline, in place of a sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
#: Seconds between two looks at most.
MOST = 0.1


def wait_until(
    condition: Callable[[], T | None],
    timeout: float = 10.0,
    what: str | Callable[[], str] = "the condition",
    interval: float = 0.01,
) -> T:
    """Return the first true value of `condition`, asked every `interval` seconds, and less often
    the longer it lasts: who asks takes the time of who works.

    Raises: AssertionError, naming `what`, when `timeout` seconds have passed.
    """
    began = time.monotonic()
    while not (value := condition()):
        waited = time.monotonic() - began
        if waited > timeout:
            raise AssertionError(
                f"waited {timeout:g} s for {what() if callable(what) else what}, last saw {value!r}"
            )
        time.sleep(min(interval + waited / 20, MOST) if interval else 0)
    return value
