"""Free ports on the loopback interface."""

import random
import socket

# Below the ports that Linux and macOS give to outgoing connections, so that no connection takes a
# server's port while the server is down for a restart.
PORTS = range(20_000, 32_000)
_random = random.SystemRandom()  # unlike the shared generator, never seeded by a test


def free_port() -> int:
    """Return a TCP port on 127.0.0.1 that nobody listens on at the time of the call."""
    while True:
        port = _random.choice(PORTS)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
