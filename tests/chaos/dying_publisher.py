"""Publishes tasks to the queue that is named, commits, and is killed before it sends anything."""

from __future__ import annotations

import os
import signal
import sys

import django
from django.db import transaction


def _main(queue: str, count: int) -> None:
    django.setup()
    from tests.project.tasks import trace

    with transaction.atomic():
        # What is to follow a commit follows in the order in which it was asked for.
        transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        for _ in range(count):
            print(trace.apply_async(queue=queue).id, flush=True)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
