"""Under eventlet, what the loop's thread logs neither stops it nor anybody else."""

import subprocess
import sys

from tests.servers.daemon import ROOT

#: Eventlet replaces what a whole process uses. Each record takes its handler's lock for a while.
PROGRAM = """
import eventlet
eventlet.monkey_patch()

import logging, time
from cq_transport.layers.public.bridge import Bridge

class Slow(logging.Handler):
    def emit(self, record):
        time.sleep(0.01)
        print(record.getMessage())

async def talk(number):
    try:
        raise ValueError(number)
    except ValueError:
        logging.getLogger("layer").exception("loop %d", number)

def chat():
    for number in range(20):
        logging.info("greenlet %d", number)

logging.basicConfig(level=logging.INFO, handlers=[Slow()])
bridge = Bridge()
for turn in range(2):  # it ends, and starts anew
    greenlets = [eventlet.spawn(chat) for _ in range(2)]
    for number in range(10):
        bridge.run(talk(number), 10)
    for greenlet in greenlets:
        greenlet.wait()
    bridge.close()
    logging.info("between")
"""


def test_records_of_the_thread_are_written_by_a_greenlet() -> None:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = [line.split() for line in done.stdout.splitlines()]
    said = [line for line in lines if line[0] == "loop"]
    assert [int(number) for _, number in said] == [*range(10)] * 2
    assert len(lines) == 2 * (2 * 20 + 10 + 1)
