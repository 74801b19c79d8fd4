"""A process that publishes tasks and prints what that took.

    python -m benchmarks.publisher burst FIRST COUNT WARM_UP
    python -m benchmarks.publisher paced FIRST COUNT RATE

`burst` publishes COUNT tasks as fast as it can, after WARM_UP others that are not timed, and prints
the seconds until all are in the queue. `paced` sends about RATE tasks per second, one at a time,
and prints a JSON list of the times at which each was published, in nanoseconds.
"""

import json
import random
import sys
import time

import django

from benchmarks.app import app, note_start

QUEUE = "celery"
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


def paced(first: int, count: int, rate: float) -> list[int]:
    """Publish one task at a time and return when each was published, in nanoseconds."""
    pauses = random.Random(0)  # the same on both sides
    published = []
    for number in range(first, first + count):
        time.sleep(pauses.uniform(1 - SPREAD, 1 + SPREAD) / rate)
        published.append(time.monotonic_ns())
        note_start.delay(number)
    return published


def _queued() -> int:
    with app.connection_for_read() as connection:
        queue = app.amqp.queues[QUEUE](connection.default_channel)
        queue.declare()
        return int(queue.channel.queue_declare(queue.name, durable=True).message_count)


if __name__ == "__main__":
    django.setup()  # as `manage.py` and a web process do
    command, *arguments = sys.argv[1:]
    function = {"burst": burst, "paced": paced}[command]
    print(json.dumps(function(*map(int, arguments))))
