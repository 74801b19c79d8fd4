"""A process that has imported what a worker needs, and forks for each `python` asked of it.

Most of what a worker costs until it is ready is its imports. A fork has them for nothing; what is
read from the environment or from the settings is read in the fork. See `forked` for the other side.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from tests.servers.lifetime import die_with_parent

#: What is the same in every process of a test project, and asks for no settings. Nothing of ours:
#: what it does at the end of a process, it does for the process that has imported it.
PRELOADED = (
    *("celery.bin.celery", "celery.apps.worker", "celery.apps.beat", "celery.worker.consumer"),
    *("celery.concurrency.prefork", "celery.concurrency.solo", "celery.concurrency.thread"),
    *("celery.fixups.django", "celery.loaders.app", "celery.backends.redis", "celery.app.builtins"),
    *("kombu.transport.redis", "kombu.asynchronous.hub", "psutil", "uuid", "http.client"),
    *("django.core.management", "django.core.checks", "django.db.models", "django.forms"),
    *("django.db.backends.postgresql.base", "django.db.backends.sqlite3.base"),
    *("django.db.backends.postgresql.psycopg_any", "django.db.migrations.executor"),
    *("django.core.management.commands.migrate", "django.core.cache", "django.template.base"),
    *("channels.layers", "channels_redis.core", "redis.asyncio", "redis.sentinel"),
)
#: Most bytes of a request: a command line and an environment.
REQUEST = 1 << 18


class Order(NamedTuple):
    """A process that is asked for; it is told of over `line`."""

    arguments: list[str]
    env: dict[str, str]
    cwd: str
    session: bool
    files: list[int]
    line: socket.socket

    def become(self) -> None:
        """Make this process, which was forked a moment ago, the one that was asked for."""
        if self.session:
            os.setsid()
        # Whoever runs the tests in the background has it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(self.env)
        os.chdir(self.cwd)
        time.tzset()
        for number, file in enumerate(self.files):
            os.dup2(file, number)
            os.close(file)
        self.line.send(b"is %d\n" % os.getpid())
        self.line.close()

    def run(self) -> None:
        """Do what the interpreter does with a script, with `-m` and a module, or `-c` and code."""
        kind, *rest = self.arguments
        first = {"-m": self.cwd, "-c": ""}.get(kind, os.path.dirname(os.path.abspath(kind)))
        sys.path[:1] = [first, *filter(None, self.env.get("PYTHONPATH", "").split(os.pathsep))]
        if kind == "-m":
            sys.argv = rest
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            sys.argv = [kind, *rest[1:]]
            main = sys.modules["__main__"] = ModuleType("__main__")
            exec(compile(rest[0], "<string>", "exec"), vars(main))
        else:
            sys.argv = self.arguments
            runpy.run_path(kind, run_name="__main__")


class ForkServer:
    """Takes orders over a socket until nobody holds its other end."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._going: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = os.pipe()
        for end in (self._wake, self._woken):
            os.set_blocking(end, False)

    def serve(self) -> Order | None:
        """Return an order in the process that is forked for it; None in the server, at its end."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._woken, warn_on_full_buffer=False)
        self._selector.register(self._orders, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in self._selector.select()}
            if self._wake in ready:
                self._reap()
            if self._orders.fileno() in ready:
                order = self._next()
                if order is None or self._fork(order):
                    return order

    def _next(self) -> Order | None:
        request, files, _, _ = socket.recv_fds(self._orders, REQUEST, 4)
        if not request:
            return None
        *standard, line = files
        return Order(**json.loads(request), files=standard, line=socket.socket(fileno=line))

    def _fork(self, order: Order) -> bool:
        """Tell whether this is the fork."""
        tie = die_with_parent()
        pid = os.fork()
        if pid == 0:
            self._leave()
            if tie is not None:
                tie()
            order.become()
            return True
        for file in order.files:
            os.close(file)
        self._going[pid] = order.line
        return False

    def _leave(self) -> None:
        """Forget in a fork what is the server's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        os.close(self._wake)
        os.close(self._woken)
        self._orders.close()
        for line in self._going.values():
            line.close()

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._wake, 512):
                pass
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with self._going.pop(ended[0]) as line, suppress(BrokenPipeError):
                    line.send(b"ended %d\n" % os.waitstatus_to_exitcode(ended[1]))


def main() -> Order | None:
    """Import, and take the orders that come on the standard input."""
    for module in PRELOADED:
        import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a fork would copy all of it
    return ForkServer(socket.socket(fileno=os.dup(0))).serve()


if __name__ == "__main__":
    if order := main():
        order.run()
