"""A TLS front for a server that speaks plain text on a unix socket.

The Redis-compatible server that comes in a wheel is built without TLS, so TLS always ends here:
what a client sees is the same. Run as `python -m tests.servers.tls SOCKET PORT CERTIFICATE KEY`.
"""

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

from tests.servers.certificates import Certificate, make_certificate
from tests.servers.daemon import Daemon
from tests.servers.ports import free_port


class TlsFront(Daemon):
    """A process that accepts TLS on a loopback port and passes the bytes on to a unix socket."""

    name = "tls"

    def __init__(self, target: Path) -> None:
        super().__init__()
        self.target = target
        self.port = free_port()
        self.certificate: Certificate = make_certificate(self.directory)

    def command(self) -> list[str]:
        arguments = [self.target, self.port, *self.certificate]
        return [sys.executable, "-m", "tests.servers.tls", *map(str, arguments)]

    def answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), timeout=1):
            return True


Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def _relay(target: str) -> Callable[..., "asyncio.Future[None]"]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up: Peer = await asyncio.open_unix_connection(target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, up[1]), _copy(up[0], writer))

    return serve  # type: ignore[return-value]


async def _main(target: str, port: str, certificate: str, key: str) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(_relay(target), "127.0.0.1", int(port), ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
