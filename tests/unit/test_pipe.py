"""The pipe and its publisher, on a host in this process that loses what a case needs lost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError

from cq_transport.errors import LayerFull, LayerUnreachable
from cq_transport.layers.redis import pipe as pipes
from cq_transport.layers.redis.pipe import Pipe, Request
from cq_transport.layers.redis.publisher import FULL, PAGE, Publisher
from cq_transport.layers.redis.scripts import SEND
from cq_transport.options import Options
from tests.unit.hosts import FakeHost

pytestmark = pytest.mark.unit


class Channels:
    """What the scripts `send` and `restore` do to a host's data."""

    def __init__(self) -> None:
        self.messages: defaultdict[str, list[Any]] = defaultdict(list)
        self.accepted: set[tuple[str, int]] = set()
        self.room = 1000
        self.scripts_known = True
        self.answers: list[Any] = []  # that take the place of the next ones

    def __call__(self, command: tuple[Any, ...]) -> Any:
        if command[:2] == ("SCRIPT", "LOAD"):
            self.scripts_known = True
            return b"sha"
        if command[0] == "PING":
            return self.answers.pop(0) if self.answers else b"PONG"
        _, _, _, channel, page, number, resent, *args = command
        if not self.scripts_known:
            return NoScriptError("no such script")
        if resent == "1" and (page, number) in self.accepted:
            return self.room
        if self.answers:
            return self.answers.pop(0)
        if self.room <= 0:
            return FULL
        self.room -= 1
        self.accepted.add((page, number))
        self.messages[channel].append(args[-1])
        return self.room


@pytest.fixture
def channels() -> Channels:
    return Channels()


@pytest.fixture
def host(channels: Channels) -> Iterator[FakeHost]:
    host = FakeHost(channels)
    yield host
    host.close()


@pytest.fixture
def pipe(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Pipe:
    monkeypatch.setattr(pipes, "RECONNECT_PAUSE", 0.0)
    return Pipe(host.connection, timeout=1.0)


@pytest.fixture
def publisher(pipe: Pipe) -> Publisher:
    return Publisher(pipe, lambda name: f"publisher:{name}", Options(full_timeout=0.0))


def send(publisher: Publisher, message: str, *, awaited: bool = False) -> Any:
    return publisher._submit("q", SEND, "q", (60, 1000, message), awaited=awaited)


def test_an_answer_meets_its_request(pipe: Pipe, channels: Channels) -> None:
    channels.answers = [b"1", b"2", b"3"]
    assert pipe.call_all([("PING",)] * 3) == [b"1", b"2", b"3"]


def test_flushed_scripts_are_loaded_under_pipelining(
    publisher: Publisher, pipe: Pipe, host: FakeHost, channels: Channels
) -> None:
    pipe.connect()
    channels.scripts_known = False
    for number in range(20):
        send(publisher, f"m{number}")
        channels.scripts_known = False
    while publisher.unsettled:
        publisher.settle()
    assert sorted(channels.messages["q"]) == sorted(f"m{number}" for number in range(20))


def test_a_reloaded_script_is_not_overdue(
    publisher: Publisher, pipe: Pipe, host: FakeHost, channels: Channels
) -> None:
    pipe.connect()
    channels.scripts_known = False
    send(publisher, "m")
    host.silent = True
    pipe.poll()  # reads NOSCRIPT; the scripts and the message are under way again
    channels.accepted.clear()  # a flush: sent again, it would be stored twice
    publisher.settle()
    assert len(host.sockets) == 1, "the settler took the request for an overdue one"
    assert channels.messages["q"] == ["m"]


def test_a_connection_lost_while_scripts_are_loaded_loses_nothing(
    publisher: Publisher, pipe: Pipe, host: FakeHost, channels: Channels
) -> None:
    pipe.connect()
    channels.scripts_known = False
    send(publisher, "m")
    host.sockets[0].is_broken = True  # what has come can be read, nothing can be written
    pipe.poll()
    while publisher.unsettled:
        publisher.settle()
    assert channels.messages["q"] == ["m"]


@pytest.mark.parametrize("fault", ["silent", "deaf"])
def test_a_lost_answer_or_request_is_stored_once(
    fault: str, publisher: Publisher, host: FakeHost, channels: Channels, pipe: Pipe
) -> None:
    pipe.connect()
    setattr(host, fault, True)
    for number in range(PAGE + 5):
        if pipe.pending < pipes.MAX_PENDING:
            send(publisher, f"m{number}")
    sent = pipe.pending
    setattr(host, fault, False)
    host.cut()
    publisher.settle()
    while publisher.unsettled:
        publisher.settle()
    assert channels.messages["q"] == [f"m{number}" for number in range(sent)]


def test_a_waiting_caller_gets_its_answer_over_a_new_connection(
    publisher: Publisher, pipe: Pipe, host: FakeHost, channels: Channels
) -> None:
    pipe.connect()
    host.silent = True
    request = send(publisher, "m", awaited=True)
    host.silent = False
    host.cut()
    assert pipe.wait(request) == channels.room
    assert channels.messages["q"] == ["m"]


def test_a_refusal_whose_answer_was_lost_is_no_acceptance(
    publisher: Publisher, pipe: Pipe, host: FakeHost, channels: Channels
) -> None:
    pipe.connect()
    host.silent = True
    channels.answers = [FULL]
    send(publisher, "refused")
    send(publisher, "accepted later")
    host.silent = False
    host.cut()
    while publisher.unsettled:
        publisher.settle()
    assert sorted(channels.messages["q"]) == ["accepted later", "refused"]


@pytest.mark.parametrize("answer", [FULL, OutOfMemoryError("command not allowed")])
def test_what_is_refused_with_nobody_waiting_is_sent_again(
    answer: Any, publisher: Publisher, pipe: Pipe, channels: Channels
) -> None:
    pipe.connect()
    channels.answers = [answer]
    send(publisher, "m")
    publisher.settle()
    while publisher.unsettled:
        publisher.settle()
    assert channels.messages["q"] == ["m"]


def test_what_is_refused_outlives_an_absence(
    publisher: Publisher, pipe: Pipe, host: FakeHost, channels: Channels
) -> None:
    pipe.connect()
    channels.answers = [FULL]
    send(publisher, "m")
    pipe.poll()
    host.refuses = True
    host.cut()
    with pytest.raises(LayerUnreachable):
        publisher.settle()
    assert publisher.unsettled == 1
    host.refuses = False
    while publisher.unsettled:
        publisher.settle()
    assert channels.messages["q"] == ["m"]


@pytest.mark.parametrize("answer", [FULL, OutOfMemoryError("command not allowed")])
def test_a_waiting_publisher_learns_that_there_is_no_room(
    answer: Any, publisher: Publisher, channels: Channels
) -> None:
    channels.answers = [answer] * 1000
    with pytest.raises(LayerFull):
        publisher.publish("q", SEND, "q", 60, 1000, "m")
    assert not publisher.unsettled
    channels.answers.clear()
    publisher.publish("q", SEND, "q", 60, 1000, "later")
    assert channels.messages["q"] == ["later"]


def test_a_full_pipe_on_a_lost_host_keeps_the_messages_of_others(
    publisher: Publisher, pipe: Pipe, host: FakeHost, channels: Channels
) -> None:
    pipe.connect()
    host.deaf = True
    for number in range(pipes.MAX_PENDING):
        send(publisher, f"m{number}")
    host.refuses, host.deaf = True, False
    host.cut()
    with pytest.raises(LayerUnreachable):
        send(publisher, "one more")
    assert pipe.pending == pipes.MAX_PENDING
    host.refuses = False
    while publisher.unsettled:
        with suppress(LayerUnreachable):  # it may be too soon after the last attempt
            publisher.settle()
    assert channels.messages["q"] == [f"m{number}" for number in range(pipes.MAX_PENDING)]


def test_an_answer_of_the_wrong_server_does_not_shift_the_others(
    publisher: Publisher, pipe: Pipe, host: FakeHost, channels: Channels
) -> None:
    pipe.connect()
    channels.answers = [ReadOnlyError("READONLY")]
    send(publisher, "refused by a replica")
    send(publisher, "accepted by the master")
    pipe.poll()
    while publisher.unsettled:
        publisher.settle()
    assert sorted(channels.messages["q"]) == ["accepted by the master", "refused by a replica"]


def test_a_request_that_was_sent_again_by_another_is_not_sent_a_third_time(
    pipe: Pipe, host: FakeHost
) -> None:
    pipe.connect()
    request, before = Request(pipe.pack("PING")), pipe._connections
    host.cut()
    pipe.submit(request)
    connections = pipe._connections
    pipe._recover(request, before)
    assert pipe._connections == connections == before + 1


def test_what_is_put_back_while_the_host_is_away_arrives_later(
    publisher: Publisher, host: FakeHost, channels: Channels
) -> None:
    host.refuses = True
    publisher.restore("q", 60, 1.0, "m")
    assert publisher.unsettled == 1
    host.refuses = False
    while publisher.unsettled:
        publisher.settle()
    assert channels.messages["q"] == ["m"]
