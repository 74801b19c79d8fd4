"""A TCP proxy in front of a server: a link that can be slow, cut or silent."""

import socket
import sys
from pathlib import Path

from tests.servers.daemon import Daemon
from tests.servers.errors import ServerError
from tests.servers.ports import free_port


class Proxy(Daemon):
    """A relay in a process of its own, on a loopback port that stays the same.

    `target` is `host:port` or the path of a unix socket. `delay` and `back` are the delays of the
    way there and the way back, in seconds; by default both ways take `delay`.
    `stop()` refuses connections until `start()`.
    """

    name = "proxy"

    def __init__(
        self, target: str | Path, *, delay: float = 0.0, back: float | None = None
    ) -> None:
        super().__init__()
        self.target = str(target)
        self.delay = delay
        self.back = delay if back is None else back
        self.port = free_port()

    @classmethod
    def round_trip(cls, target: str | Path, seconds: float) -> "Proxy":
        """Return a proxy that adds so many seconds to a round trip, half of them each way."""
        return cls(target, delay=seconds / 2)

    @property
    def address(self) -> str:
        """`host:port` of the proxy."""
        return f"127.0.0.1:{self.port}"

    @property
    def redis_url(self) -> str:
        """The URL for a Redis client, when the target is a Redis without a password."""
        return f"redis://{self.address}/0"

    @property
    def _control(self) -> Path:
        return self.directory / "control"

    def command(self) -> list[str]:
        arguments = [self.port, self.target, self._control, self.delay, self.back]
        return [sys.executable, "-m", "tests.servers.relay", *map(str, arguments)]

    def answers(self) -> bool:
        return self._tell("ping")

    def set_delay(self, delay: float, back: float | None = None) -> None:
        """Change the delays; what is on its way keeps its own."""
        self.delay, self.back = delay, delay if back is None else back
        self._order(f"delay {self.delay} {self.back}")

    def cut(self) -> None:
        """Reset every connection (RST to both sides); new ones are accepted at once."""
        self._order("cut")

    def silence(self) -> None:
        """Carry nothing and close nothing, as a cable that was pulled: both ends see it open."""
        self.freeze()

    def heal(self) -> None:
        """End the silence; what was sent meanwhile arrives, as TCP's repeats would have it."""
        self.thaw()

    def _order(self, line: str) -> None:
        if not self._tell(line):
            raise ServerError(f"the proxy did not obey {line!r}:\n{self.tail()}")

    def _tell(self, line: str) -> bool:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(5.0)
            control.connect(str(self._control))
            control.sendall(line.encode())
            return control.recv(16) == b"ok"
