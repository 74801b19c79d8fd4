"""Publishes tasks to queues in turn until it is told to stop; run by `tests.chaos.load`.

    python -m tests.chaos.publish ACCEPTED QUEUE...

Each id is written to the file ACCEPTED once its `apply_async` has returned. A line on the standard
input ends it.
"""

import itertools
import select
import sys

import django
from kombu.exceptions import OperationalError

from tests.extent import extent
from tests.project.tasks import note

PAUSE = extent(0.02, 0.005)  # seconds between two tasks


def main(accepted: str, *queues: str) -> None:
    """Publish until there is something to read on the standard input."""
    django.setup()
    with open(accepted, "a", buffering=1) as ids:
        for queue in itertools.cycle(queues):
            if select.select([sys.stdin], [], [], PAUSE)[0]:
                return
            try:
                ids.write(note.apply_async(queue=queue).id + "\n")
            except OperationalError as exc:
                print(f"refused: {exc}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
