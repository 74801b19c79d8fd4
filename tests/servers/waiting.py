"""Wait for a condition with a deadline, in place of a sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None],
    timeout: float = 10.0,
    what: str | Callable[[], str] = "the condition",
    interval: float = 0.01,
) -> T:
    """Return the first true value of `condition`, asked every `interval` seconds.

    Raises: AssertionError, naming `what`, when `timeout` seconds have passed.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(
                f"waited {timeout:g} s for {what() if callable(what) else what}, last saw {value!r}"
            )
        time.sleep(interval)
    return value
