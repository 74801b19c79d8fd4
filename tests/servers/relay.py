"""A TCP relay that holds every byte back for a set time; run by `tests.servers.proxy`.

    python -m tests.servers.relay PORT TARGET CONTROL FORWARD BACK

Listens on 127.0.0.1:PORT and connects to TARGET (`host:port`, or the path of a unix socket).
FORWARD and BACK are the delays of the two directions in seconds. The unix socket CONTROL takes the
lines `ping`, `cut` (reset every connection) and `delay FORWARD BACK`, and answers each with `ok`.
"""

import contextlib
import ctypes
import os
import select
import socket
import struct
import sys
import time
from collections import deque

PASSING = 40e-6  # seconds that a pass through this process takes each way, with no delay at all
PR_SET_TIMERSLACK = 29  # <linux/prctl.h>
CHUNK = 1 << 18  # bytes read at once
HIGH_WATER = 1 << 23  # bytes held back for one connection before it is read no more
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST and forgets what is unsent


class Link:
    """One end of a relayed connection; `peer` is the other end."""

    peer: "Link"

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.socket.setblocking(False)
        if end.family == socket.AF_INET:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unsent = bytearray()
        self.held = 0  # bytes on their way to this end
        self.finished = False  # nothing more will be read here
        self.ending = False  # nothing more will be delivered here
        self.ended = False  # and all of it was sent
        self.closed = False

    def fileno(self) -> int:
        return self.socket.fileno()

    def readable(self) -> bool:
        """Tell whether more may be read from this end."""
        return not self.finished and self.peer.held < HIGH_WATER

    def deliver(self, data: bytes) -> None:
        """Send `data` on; nothing at all means that the other end has finished."""
        if not self.closed:
            self.unsent += data
            self.ending = not data
            self.send()

    def send(self) -> None:
        """Send what the socket takes, and after the last of it the end of the stream."""
        try:
            sent = self.socket.send(self.unsent) if self.unsent else 0
            self.held -= sent
            del self.unsent[:sent]
            if self.ending and not self.unsent:
                self.socket.shutdown(socket.SHUT_WR)
                self.ended = True
        except BlockingIOError:
            return
        except OSError:
            self.reset()
        if self.ended and self.peer.ended:
            self.close()

    def close(self) -> None:
        """Close both ends."""
        for link in (self, self.peer):
            link.closed = link.finished = True
            link.socket.close()

    def reset(self) -> None:
        """Close both ends with a TCP reset."""
        for link in (self, self.peer):
            if not link.closed:
                link.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.close()


class Lane:
    """One direction: what was read, in order, with the time at which it is due."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.queue: deque[tuple[float, Link, bytes]] = deque()

    def hold(self, now: float, link: Link, data: bytes) -> None:
        """Hold `data` back for `link`, or deliver it at once when there is no delay."""
        link.held += len(data)
        if self.delay or self.queue:
            self.queue.append((now + self.delay - PASSING, link, data))
        else:
            link.deliver(data)

    def release(self, now: float) -> float | None:
        """Deliver what is due and return when the rest is, None for no rest."""
        queue = self.queue
        while queue and queue[0][0] <= now:
            _, link, data = queue.popleft()
            link.deliver(data)
        return queue[0][0] if queue else None


class Relay:
    """The loop: a single thread around `select`, whose timeout is exact to microseconds."""

    def __init__(
        self, port: int, target: str, control: str, forward: float = 0.0, back: float = 0.0
    ) -> None:
        self.target = target
        self.forward = Lane(forward)
        self.back = Lane(back)
        self.lanes: dict[Link, Lane] = {}
        self.listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self.control = _control_socket(control)

    def run(self) -> None:
        """Relay until the process ends."""
        _exact_timers()
        while True:
            now = time.monotonic()
            due = [d for d in (self.forward.release(now), self.back.release(now)) if d is not None]
            reading = [link for link in self.lanes if link.readable()]
            writing = [link for link in self.lanes if link.unsent and not link.closed]
            sources: list[Link | socket.socket] = [self.control, self.listener, *reading]
            readable, writable, _ = select.select(
                sources,
                writing,
                [],
                max(0.0, min(due) - time.monotonic()) if due else None,
            )
            now = time.monotonic()
            for ready in readable:
                if isinstance(ready, Link):
                    self._read(ready, now)
                elif ready is self.listener:
                    self._accept()
                else:
                    self._obey()
            for link in writable:
                if not link.closed:
                    link.send()
            self._forget()

    def _read(self, link: Link, now: float) -> None:
        if link.closed:
            return
        try:
            data = link.socket.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            link.reset()
            return
        link.finished = not data
        self.lanes[link].hold(now, link.peer, data)

    def _accept(self) -> None:
        near = Link(self.listener.accept()[0])
        try:
            far = Link(_connect(self.target))
        except OSError:
            near.peer = near
            near.reset()
            return
        near.peer, far.peer = far, near
        self.lanes[near] = self.forward
        self.lanes[far] = self.back

    def _obey(self) -> None:
        connection = self.control.accept()[0]
        with connection, contextlib.suppress(OSError):
            connection.settimeout(1.0)
            word, *arguments = connection.recv(1024).decode().split()
            if word == "cut":
                self.cut()
            elif word == "delay":
                self.forward.delay, self.back.delay = map(float, arguments)
            connection.sendall(b"ok")

    def cut(self) -> None:
        """Reset every connection."""
        for link in self.lanes:
            link.reset()
        for lane in (self.forward, self.back):
            lane.queue.clear()  # what waits belongs to the dead, and would hold up what comes
        self._forget()

    def _forget(self) -> None:
        if any(link.closed for link in self.lanes):
            self.lanes = {link: lane for link, lane in self.lanes.items() if not link.closed}


def _control_socket(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    control = socket.socket(socket.AF_UNIX)
    control.bind(path)
    control.listen()
    return control


def _connect(target: str) -> socket.socket:
    if "/" in target:
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(2.0)
        end.connect(target)
        return end
    host, _, port = target.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=2.0)


def _exact_timers() -> None:
    """Ask the kernel to end this thread's waits on time; it adds up to 50 µs by default."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)


if __name__ == "__main__":
    _port, _target, _control, _forward, _back = sys.argv[1:]
    Relay(int(_port), _target, _control, float(_forward), float(_back)).run()
