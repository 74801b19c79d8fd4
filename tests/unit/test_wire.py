"""Redis' protocol on a socket: answers in pieces, and a peer that is slow, silent or gone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from redis.exceptions import NoScriptError

from cq_transport.layers.redis.wire import Wire

pytestmark = pytest.mark.unit

LARGE = b"x" * 10_000_000


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.settimeout(5.0)
    with near, far:
        yield near, far


@pytest.fixture
def wire(ends: tuple[socket.socket, socket.socket]) -> Wire:
    return Wire(ends[0])


@pytest.fixture
def far(ends: tuple[socket.socket, socket.socket]) -> socket.socket:
    return ends[1]


def test_packs_text_numbers_and_bytes() -> None:
    assert Wire.pack("SET", b"\xff", 7) == b"*3\r\n$3\r\nSET\r\n$1\r\n\xff\r\n$1\r\n7\r\n"


def test_an_answer_may_come_in_pieces(wire: Wire, far: socket.socket) -> None:
    far.sendall(b"*2\r\n:1\r\n$3\r\na")
    assert wire.readable(0)
    thread = threading.Thread(target=far.sendall, args=(b"bc\r\n:2\r\n",))
    thread.start()
    assert wire.receive() == [1, b"abc"]
    thread.join()
    assert wire.receive() == 2


def test_an_error_is_an_answer(wire: Wire, far: socket.socket) -> None:
    far.sendall(b"-NOSCRIPT none\r\n:1\r\n")
    assert isinstance(wire.receive(), NoScriptError)
    assert wire.receive() == 1


def test_a_peer_that_reads_slowly_gets_everything(wire: Wire, far: socket.socket) -> None:
    thread = threading.Thread(target=wire.send, args=(LARGE,))
    thread.start()
    found = 0
    while found < len(LARGE):
        found += len(far.recv(100_000))
    thread.join()


def test_silence_is_not_readable(wire: Wire) -> None:
    assert not wire.readable(0)
    assert not wire.readable(0.01)


@pytest.mark.parametrize("request_", [None, LARGE], ids=["answer", "request"])
def test_a_peer_that_does_nothing_is_given_up(
    ends: tuple[socket.socket, socket.socket], request_: bytes | None
) -> None:
    ends[0].settimeout(0.01)
    wire = Wire(ends[0])
    with pytest.raises(TimeoutError):
        wire.send(request_) if request_ else wire.receive()


def test_the_end_is_an_error(wire: Wire, far: socket.socket) -> None:
    far.close()
    with pytest.raises(ConnectionResetError):
        wire.readable(0)
    with pytest.raises(BrokenPipeError):
        wire.send(b"x")
