"""Run something that must end, and say so if it does not."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds after which a call counts as one that never ends.
FOREVER = 60.0


def ends(call: Callable[[], T], within: float = FOREVER) -> T:
    """Return what `call` returns, or raise what it raises.

    Raises: AssertionError when it goes on for more than `within` seconds.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(within)
    assert not thread.is_alive(), f"still running after {within:g} s"
    if errors:
        raise errors[0]
    return results[0]
