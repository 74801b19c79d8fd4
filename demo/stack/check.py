"""Presses every button of the page as a browser would, and looks at what comes of it."""

import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image

from demo.stack.errors import DemoError
from demo.stack.flush import press_flush
from demo.stack.visitor import Board, Visitor

RUSH = 50
SAMPLES = 6
CUSTOMER = {"name": "<b>Ada</b>", "email": "ada@example.com", "item": "tea"}


def check(url: str, turn: Callable[[], None]) -> bool:
    """Take every step, print how each went, and tell whether all went well."""
    with Visitor(url, turn) as visitor:
        outcomes = [_take(step, visitor) for step in STEPS]
    return all(outcomes)


def _take(step: Callable[[Visitor], None], visitor: Visitor) -> bool:
    began, fault = time.monotonic(), ""
    try:
        step(visitor)
    except (DemoError, OSError) as error:
        fault = f" ({error})"
    seconds = time.monotonic() - began
    print(f"{'FAULT' if fault else 'ok':5} {seconds:5.1f} s  {step.__doc__}{fault}", flush=True)
    return not fault


def expect(what: str, is_so: bool) -> None:
    """Raise DemoError if something is not as it should be."""
    if not is_so:
        raise DemoError(f"not so: {what}")


def see_worker(visitor: Visitor) -> None:
    """The page shows a worker and three queues."""
    visitor.wait(lambda board: board["workers"] and len(board["queues"]) == 3)


def order(visitor: Visitor) -> None:
    """An order is mailed."""
    expect("the order is taken", visitor.press("orders/", **CUSTOMER) == 200)
    mail = visitor.wait(lambda board: board["mails"] and board["mails"][0])
    expect("the mail has the name as it was written", "<b>Ada</b>" in mail["text"])
    visitor.wait(lambda board: _tasks(board, "send_order_mail", "SUCCESS"))


def order_in_outage(visitor: Visitor) -> None:
    """A mail is tried again while the mail server is down."""
    expect("the order is taken", visitor.press("orders/", **CUSTOMER, outages="2") == 200)
    visitor.wait(
        lambda board: [
            task for task in board["tasks"] if task["retries"] == 1 and not task["finished"]
        ]
    )
    visitor.wait(
        lambda board: [
            task for task in _tasks(board, "send_order_mail", "SUCCESS") if task["retries"] == 2
        ]
    )


def rush(visitor: Visitor) -> None:
    """A group of tasks publishes as many others, and all queues drain."""
    expect("the customers come in", visitor.press("orders/rush/") == 200)
    visitor.wait(lambda board: board["orders"] >= RUSH + 2)
    visitor.wait(lambda board: not any(queue["length"] for queue in board["queues"]))


def flush(visitor: Visitor) -> None:
    """Redis is emptied under load: no task is lost, and none is done twice."""
    counts = press_flush(visitor)
    expect(f"none is lost ({counts})", counts["lost"] == 0)
    expect(f"none is done twice ({counts})", counts["twice"] == 0)
    expect(f"all are done ({counts})", counts["done"] == counts["published"])


def upload(visitor: Visitor) -> None:
    """An uploaded picture gets a thumbnail."""
    data = BytesIO()
    Image.new("RGBA", (900, 600), "teal").save(data, "PNG")
    expect("the picture is taken", visitor.press("pictures/", original=data.getvalue()) == 200)
    picture = visitor.wait(lambda board: [p for p in board["pictures"] if p["url"]])[0]
    thumbnail = Image.open(BytesIO(visitor.get(picture["url"])))
    expect("it is a small JPEG", (thumbnail.format, thumbnail.size) == ("JPEG", (320, 213)))


def upload_nonsense(visitor: Visitor) -> None:
    """A file that is no picture is refused."""
    expect("the answer is 400", visitor.press("pictures/", original=b"<svg/>") == 400)


def draw_samples(visitor: Visitor) -> None:
    """Chains paint pictures and make their thumbnails."""
    expect("the painter begins", visitor.press("pictures/samples/") == 200)
    visitor.wait(lambda board: len([p for p in board["pictures"] if p["url"]]) > SAMPLES)


def build_report(visitor: Visitor) -> None:
    """Subtasks tell their progress and logs, and a chained task writes the report."""
    expect("the report is under way", visitor.press("reports/") == 200)
    visitor.wait(lambda board: [one for one in board["family"] if 0 < (one["progress"] or 0) < 100])
    expect("its first task waits", visitor.board["family"][0]["state"] in ("STARTED", "WAITING"))
    [report] = visitor.wait(lambda board: board["report"])
    orders = sum(line["orders"] for line in report["lines"])
    expect("it has all orders", orders >= RUSH + 2)
    visitor.wait(lambda board: all(one["state"] == "SUCCESS" for one in board["family"]))
    family = [(one["name"], one["depth"]) for one in visitor.board["family"]]
    members = [("build_report", 0), ("sum_up_all", 1), *[("sum_up", 2)] * 4, ("write_report", 2)]
    expect(f"the family is whole ({family})", family == members)
    said = [line["text"] for line in visitor.wait(lambda board: board["log"])]
    expect(f"what it logged is seen ({said})", len(said) == 6 and "is written" in said[-1])


def stop_counting(visitor: Visitor) -> None:
    """A running task tells its progress and can be stopped."""
    expect("counting begins", visitor.press("stock/") == 200)
    [task] = visitor.wait(lambda board: list(_tasks(board, "count_stock", "PROGRESS")))
    expect("it is told to stop", visitor.press("tasks/stop/", task=task["id"]) == 200)
    visitor.wait(lambda board: _tasks(board, "count_stock", "REVOKED"))


def see_schedule(visitor: Visitor) -> None:
    """Beat starts tasks; a schedule can be turned off."""
    visitor.wait(lambda board: board["orders"] > RUSH + 2)
    [entry] = [entry for entry in visitor.board["schedules"] if "customer" in entry["name"]]
    expect("it is turned", visitor.press("schedules/switch/", schedule=entry["name"]) == 200)
    visitor.wait(lambda board: (entry["name"], False) in _switches(board))


def _switches(board: Board) -> list[tuple[str, bool]]:
    return [(entry["name"], entry["enabled"]) for entry in board["schedules"]]


def _tasks(board: Board, name: str, state: str) -> list[dict[str, Any]]:
    return [task for task in board["tasks"] if (task["name"], task["state"]) == (name, state)]


STEPS = (
    see_worker,
    order,
    order_in_outage,
    upload_nonsense,
    upload,
    draw_samples,
    rush,
    flush,
    build_report,
    stop_counting,
    see_schedule,
)
