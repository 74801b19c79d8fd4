"""Another process that uses the same brokers.

Run as a program it reads one JSON object a line, {"operation", "url", "options", ...}, does it on a
connection of its own and prints one JSON answer. The first line holds its Django settings.
"""

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

from kombu import Connection, Exchange, Producer, Queue

from tests.servers.lifetime import die_with_parent

ROOT = Path(__file__).parents[2]
#: Seconds that an answer may take.
PATIENCE = 60.0


class Peer:
    """The process, started when it is first asked for something."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings
        self.process: subprocess.Popen[str] | None = None

    def run(self, operation: str, url: str, options: dict[str, Any], **arguments: Any) -> Any:
        """Return the answer. Raises: AssertionError with what went wrong there."""
        if self.process is None:
            self.process = self._start()
        order = {"operation": operation, "url": url, "options": options, "arguments": arguments}
        return self._ask(self.process, order)

    def run_and_exit(
        self, operation: str, url: str, options: dict[str, Any], **arguments: Any
    ) -> Any:
        """Do it in a new process that ends without closing its connection; wait for its end."""
        process = self._start()
        order = {"operation": operation, "url": url, "options": options, "arguments": arguments}
        assert process.stdin is not None
        with process:
            try:
                answer = self._ask(process, {**order, "keep": True})
                process.stdin.close()  # it reads no more orders
                assert process.wait(PATIENCE) == 0
            finally:
                process.kill()
        return answer

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            with self.process:
                self.process.kill()

    def _start(self) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.peer"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent(),
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(self.settings) + "\n")
        return process

    def _ask(self, process: "subprocess.Popen[str]", order: dict[str, Any]) -> Any:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        assert select.select([process.stdout], [], [], PATIENCE)[0], f"no answer to {order}"
        line = process.stdout.readline()
        assert line, f"the other process ended at {order}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]


def publish(connection: Connection, exchange: str, kind: str, key: str, bodies: list[Any]) -> None:
    """Publish to an exchange whose bindings this process has not declared."""
    producer = Producer(connection, exchange=Exchange(exchange, type=kind))
    for body in bodies:
        producer.publish(body, routing_key=key)


def send(connection: Connection, queue: str, bodies: list[Any]) -> None:
    """Publish through the anonymous exchange."""
    producer = Producer(connection)
    for body in bodies:
        producer.publish(body, routing_key=queue)


def take(connection: Connection, queue: str, count: int, ack: bool = True) -> list[Any]:
    """Consume `count` messages, one at a time, and acknowledge each if so told."""
    found: list[Any] = []

    def on_message(message: Any) -> None:
        found.append(message.payload)
        if ack:
            message.ack()

    consumer = connection.Consumer(Queue(queue), on_message=on_message, prefetch_count=count)
    consumer.consume()
    while len(found) < count:
        connection.drain_events(timeout=15)
    return found


def unbind(connection: Connection, queue: str, exchange: str, kind: str, key: str) -> None:
    """Remove a binding that another process has made."""
    channel = connection.default_channel
    Exchange(exchange, type=kind)(channel).declare()
    channel.queue_unbind(queue, exchange=exchange, routing_key=key)


def size(connection: Connection, queue: str) -> int:
    """Return the number of messages that wait in a queue."""
    return int(connection.default_channel.queue_declare(queue, passive=True).message_count)


def pid(connection: Connection) -> int:
    """Return the id of this process."""
    return os.getpid()


OPERATIONS = {run.__name__: run for run in (publish, send, take, unbind, size, pid)}
_kept: list[Connection] = []


def _obey(order: dict[str, Any]) -> Any:
    connection = Connection(order["url"], transport_options=order["options"])
    try:
        return OPERATIONS[order["operation"]](connection, **order["arguments"])
    finally:
        _kept.append(connection) if order.get("keep") else connection.release()


def _main() -> None:
    import django
    from django.conf import settings

    import cq_transport

    settings.configure(**json.loads(sys.stdin.readline()))
    django.setup()
    cq_transport.register()
    for line in sys.stdin:
        try:
            answer = {"value": _obey(json.loads(line))}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _main()
