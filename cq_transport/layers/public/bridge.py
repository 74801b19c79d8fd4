"""The thread on which a process runs the asynchronous calls of its channel layers.

Connections of a layer belong to one event loop, and the layer's callers here are synchronous: so
there is one loop per process, in a thread of its own that starts with the first call. A forked
child inherits no threads and starts another.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from kombu.log import get_logger

from cq_transport.errors import LayerUnreachable, TransportError
from cq_transport.exits import at_exit
from cq_transport.forks import reset_in_children
from cq_transport.layers.public.scribe import Scribe
from cq_transport.layers.public.threads import Signal, green_library, make_signal, start_thread

logger = get_logger(__name__)

T = TypeVar("T")

#: Seconds in which the thread must start, or end.
PATIENCE = 5.0
#: What a forked child must neither use nor destroy: its parent is still using the same descriptors.
_abandoned: list[object] = []


def abandon(obj: object) -> None:
    """Keep ``obj`` from being destroyed in this process, which inherited it by a fork."""
    _abandoned.append(obj)


class Call(Generic[T]):
    """A coroutine that the loop runs for a waiting caller."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self._task: asyncio.Task[T] | None = None
        self._done: Signal = make_signal()

    def start(self) -> None:
        """Begin; on the loop."""
        self._task = asyncio.get_running_loop().create_task(self._coroutine)
        self._task.add_done_callback(lambda task: self._done.set())

    def cancel(self) -> None:
        """Give up; on the loop."""
        if self._task is not None:
            self._task.cancel()
            self._task.add_done_callback(_forget_outcome)

    def discard(self) -> None:
        """Forget a call that was never started."""
        self._coroutine.close()

    def wait(self, timeout: float) -> bool:
        """Wait for the outcome; tell whether there is one."""
        return self._done.wait(timeout)

    def result(self) -> T:
        """Return what the coroutine returned, or raise what it raised."""
        assert self._task is not None
        try:
            return self._task.result()
        except asyncio.CancelledError as exc:
            raise LayerUnreachable("the channel layer's event loop was stopped") from exc


class Bridge:
    """Runs coroutines on the loop thread, and waits for them in others."""

    def __init__(self) -> None:
        self._begin()
        reset_in_children(self)

    def _begin(self) -> None:
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread_id = 0
        self._ended: Signal | None = None
        self._scribe: Scribe | None = None

    def reset_after_fork(self) -> None:
        """Begin anew in a child."""
        if self._loop is not None:
            abandon(self._loop)
        self._begin()

    @property
    def is_running(self) -> bool:
        """Whether there is a loop thread."""
        return self._loop is not None

    def run(self, coroutine: Coroutine[Any, Any, T], timeout: float) -> T:
        """Run ``coroutine`` on the loop and return its result, or raise its exception.

        Raises:
            LayerUnreachable: it takes more than ``timeout`` seconds.
            TransportError: the caller is on the loop itself, which cannot wait.
        """
        call = Call(coroutine)
        try:
            self.call_soon(call.start)
        except TransportError:
            call.discard()
            raise
        try:
            done = call.wait(timeout)
        except BaseException:  # the caller is interrupted, or its greenlet killed
            self.call_soon(call.cancel)
            raise
        if not done:
            self.call_soon(call.cancel)
            raise LayerUnreachable(f"the channel layer did not answer within {timeout:g} s")
        return call.result()

    def call_soon(self, function: Callable[..., object], *args: Any) -> None:
        """Call ``function`` on the loop, in the order of these calls, without waiting.

        Raises:
            LayerUnreachable: there can be no loop any more.
            TransportError: the caller is on the loop itself.
        """
        if threading.get_native_id() == self._thread_id:
            raise TransportError(
                "channels:// was used on the event loop that runs the channel layer, where it "
                "would wait for itself; use it in another thread, for example by sync_to_async()."
            )
        try:
            self._running_loop().call_soon_threadsafe(function, *args)
        except RuntimeError as exc:  # no new threads at the end of the interpreter
            raise LayerUnreachable(f"the channel layer's event loop cannot run: {exc}") from exc

    def close(self) -> None:
        """End the loop thread and what runs on it; the next call starts another."""
        with self._starting:
            loop, ended, scribe = self._loop, self._ended, self._scribe
            self._loop, self._thread_id = None, 0
        if loop is None or ended is None:
            return
        loop.call_soon_threadsafe(loop.stop)
        if not ended.wait(PATIENCE):
            logger.warning("The channel layer's event loop did not end in time.")
        elif scribe is not None:
            scribe.close()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is None:
            with self._starting:
                loop = self._loop or self._start()
        return loop

    def _start(self) -> asyncio.AbstractEventLoop:
        started = make_signal()
        self._ended = ended = make_signal()
        self._scribe = Scribe() if green_library() == "eventlet" else None
        start_thread(lambda: self._work(started, ended), "cq-bridge")
        if not started.wait(PATIENCE) or self._loop is None:
            raise LayerUnreachable("the channel layer's event loop did not start")
        at_exit(self.close, priority=0)
        return self._loop

    def _work(self, started: Signal, ended: Signal) -> None:
        loop = asyncio.new_event_loop()
        self._loop, self._thread_id = loop, threading.get_native_id()
        if self._scribe is not None:
            self._scribe.thread_id = self._thread_id
        started.set()
        try:
            loop.run_forever()
            loop.run_until_complete(_wind_up())
        finally:
            loop.close()
            ended.set()


async def _wind_up() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


def _forget_outcome(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


bridge = Bridge()
