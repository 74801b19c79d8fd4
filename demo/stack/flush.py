"""`python -m demo flush`: empties the Redis of a running shop under load, and watches."""

from collections.abc import Callable

from websockets.exceptions import WebSocketException

from demo.stack.errors import DemoError
from demo.stack.visitor import Visitor

Counts = dict[str, int]


def flush(url: str) -> bool:
    """Press the button of a running shop, print what becomes of the tasks, and tell whether none
    was lost and none done twice.

    Raises:
        DemoError: no shop answers there, or something waits for too long.
    """
    try:
        with Visitor(url, lambda: None) as visitor:
            counts = press_flush(visitor, _print)
    except (OSError, WebSocketException) as error:
        raise DemoError(f"No shop answers at {url}: start `python -m demo` first.") from error
    return counts["done"] == counts["published"] and not counts["twice"]


def press_flush(visitor: Visitor, tell: Callable[[Counts], None] = lambda counts: None) -> Counts:
    """Press the button, and return the counts once nothing waits."""
    before = visitor.wait(lambda board: board["parcels"])["published"]
    if (status := visitor.press("parcels/")) != 200:
        raise DemoError(f"the button answers {status}")

    def settled(counts: Counts) -> Counts | None:
        tell(counts)
        return counts if counts["published"] > before and not counts["waiting"] else None

    return visitor.wait(
        lambda board: settled(board["parcels"]), progress=lambda board: board["parcels"]["done"]
    )


def _print(counts: Counts) -> None:
    print("  ".join(f"{name} {count}" for name, count in counts.items()), flush=True)
