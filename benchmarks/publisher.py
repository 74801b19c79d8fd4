"""A process that publishes tasks and prints, as JSON, what that took.

    python -m benchmarks.publisher burst FIRST COUNT WARM_UP
    python -m benchmarks.publisher paced FIRST COUNT RATE
    python -m benchmarks.publisher stream FIRST COUNT WARM_UP BLOCK
    python -m benchmarks.publisher transactions FIRST COUNT WARM_UP

`burst` publishes COUNT tasks as fast as it can, after WARM_UP others that are not timed, and prints
the seconds until all are in the queue. `paced` sends about RATE tasks per second, one at a time,
and prints the times at which each was published, in nanoseconds. `stream` publishes tasks that note
their end, the first WARM_UP of them paced and the others as fast as it can, BLOCK of them in one
`bulk()`, and prints the time at which it began with these. `transactions` publishes each task in a
transaction that also writes a row, after another that only does this, and prints the nanoseconds of
all but the first WARM_UP: those of the calls, of the transactions that publish, and of those that
do not.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import django
from django.db import connection, transaction

from benchmarks.app import app, note_end, note_start
from cq_compat import bulk

QUEUE = "celery"
RATE = 200  # tasks per second, where they are paced for another's sake
SPREAD = 0.5  # a pause lasts this much longer or shorter, so that it meets no other timer's beat


def burst(first: int, count: int, warm_up: int) -> float:
    """Publish the tasks numbered `first` and on, and return the seconds until all are queued."""
    before = _queued()
    for _ in range(warm_up):
        note_start.delay(first)
    begin = time.perf_counter()
    for number in range(first, first + count):
        note_start.delay(number)
    app.pool.force_close_all()  # sends whatever was not sent yet
    seconds = time.perf_counter() - begin
    queued = _queued() - before
    if queued != warm_up + count:
        sys.exit(f"published {warm_up + count} tasks, found {queued} in the queue")
    return seconds


def paced(first: int, count: int, rate: float, task: Any = note_start) -> list[int]:
    """Publish one task at a time and return when each was published, in nanoseconds."""
    pause = _pauses(rate)
    published = []
    for number in range(first, first + count):
        pause()
        published.append(time.monotonic_ns())
        task.delay(number)
    return published


def stream(first: int, count: int, warm_up: int, block: int) -> int:
    """Publish tasks that note their end, and return when the first was that is not paced."""
    paced(first, warm_up, RATE, note_end)
    begun = time.monotonic_ns()
    end = first + count
    for begin in range(first + warm_up, end, block):
        with bulk() if block > 1 else nullcontext():
            for number in range(begin, min(begin + block, end)):
                note_end.delay(number)
    return begun


def transactions(first: int, count: int, warm_up: int) -> tuple[list[int], ...]:
    """Publish each task in a transaction, and return what that took, in nanoseconds."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE own (number bigint)")
    pause = _pauses(RATE)
    calls, publishing, others = [], [], []
    for number in range(first, first + count):
        pause()
        others.append(_timed(_write, number))
        pause()  # what comes right after another is quicker
        publishing.append(_timed(_write, number, calls))
    return calls[warm_up:], publishing[warm_up:], others[warm_up:]


def _write(number: int, calls: list[int] | None = None) -> None:
    """Write a row of the publisher's own, and publish if the call's time is to be noted."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("INSERT INTO own VALUES (%s)", [number])
        if calls is not None:
            calls.append(_timed(note_start.delay, number))


def _timed(function: Callable[..., Any], *arguments: Any) -> int:
    begin = time.perf_counter_ns()
    function(*arguments)
    return time.perf_counter_ns() - begin


def _pauses(rate: float) -> Callable[[], None]:
    generator = random.Random(0)  # the same on every side
    return lambda: time.sleep(generator.uniform(1 - SPREAD, 1 + SPREAD) / rate)


def _queued() -> int:
    with app.connection_for_read() as broker:
        queue = app.amqp.queues[QUEUE](broker.default_channel)
        queue.declare()
        return int(queue.channel.queue_declare(queue.name, durable=True).message_count)


if __name__ == "__main__":
    django.setup()  # as `manage.py` and a web process do
    command, *arguments = sys.argv[1:]
    function: Callable[..., Any] = {
        "burst": burst,
        "paced": paced,
        "stream": stream,
        "transactions": transactions,
    }[command]
    print(json.dumps(function(*map(int, arguments))))
