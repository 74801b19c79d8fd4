"""One synchronous connection to a layer's database, whose requests and answers are apart.

psycopg connects; then libpq's pipeline mode is used directly, because its socket must be one that
an event loop can wait for, and because a request without a commit costs no further statement there.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from cq_transport.errors import LayerMisconfigured, LayerUnreachable, TransportError
from cq_transport.forks import reset_in_children
from cq_transport.layers.descriptors import is_ready
from cq_transport.layers.postgres.statements import SET_UP, Statement

Parameter = str | bytes | int | float | Sequence[str] | Sequence[int]

#: Seconds after which psycopg gives up a connection attempt at the earliest.
MIN_CONNECT_TIMEOUT = 2
#: Parameters of libpq that find out that the other side is gone; the layer's own come first.
KEEPALIVE = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 10_000,
}
# SQLSTATEs and classes of them that mean "not this server, not now": reconnecting may help.
_UNREACHABLE = ("08", "25006", "53", "57")
_NO_SUCH_TABLE = "42P01"
_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.PIPELINE_SYNC)


class Request(NamedTuple):
    """A statement with its parameters."""

    statement: Statement
    parameters: tuple[Parameter, ...] = ()


class Link:
    """A connection that sends requests and reads answers apart from each other; it never reconnects
    by itself, and a forked child has none.

    Args:
        parameters: what psycopg connects with.
        timeout: seconds for connecting and for what must be answered at once.
        set_up: commands that each new connection begins with.
    """

    def __init__(
        self, parameters: Mapping[str, Any], timeout: float, set_up: Sequence[str] = ()
    ) -> None:
        patience = max(MIN_CONNECT_TIMEOUT, math.ceil(timeout))
        self._conninfo = make_conninfo(**{**KEEPALIVE, "connect_timeout": patience, **parameters})
        self._timeout = timeout
        self._set_up = (*SET_UP, *set_up)
        self._connection: psycopg.Connection[Any] | None = None
        self._forget()
        reset_in_children(self)

    def _forget(self) -> None:
        self._known: set[str] = set()
        # For each answer to come: whether the caller asked for it, or None for a commit.
        self._awaited: deque[bool | None] = deque()

    def reset_after_fork(self) -> None:
        """Leave the connection to the parent."""
        connection, self._connection = self._connection, None
        self._forget()
        if connection is not None:
            # Only the child's copy of the socket is closed. The object must live on: its end would
            # end the session.
            _parents.append(connection)
            os.close(connection.pgconn.socket)

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent."""
        return self._connection is not None

    def connect(self) -> None:
        """Connect and set the session up.

        Raises:
            LayerUnreachable: the server does not answer, or refuses us.
            LayerMisconfigured: libpq is too old.
        """
        self.close()
        try:
            self._connection = psycopg.connect(self._conninfo, autocommit=True)
            pgconn = self._pgconn
            pgconn.nonblocking = 1
            pgconn.enter_pipeline_mode()
            for command in self._set_up:
                pgconn.send_query_params(command.encode(), None)
                self._awaited.append(True)
            self.commit()
            self.wait(monotonic() + self._timeout)
        except psycopg.NotSupportedError as exc:
            self.close()
            raise LayerMisconfigured(
                f"libpq 14 or newer is needed: pip install 'psycopg[binary]' ({_one_line(exc)})"
            ) from exc
        except (psycopg.Error, OSError, TransportError) as exc:
            self.close()
            raise LayerUnreachable(
                f"the channel layer's PostgreSQL is unreachable: {_one_line(exc)}"
            ) from exc

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        self._forget()
        if connection is not None:
            connection.close()

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._pgconn.socket

    def send(self, *requests: Request, commit: bool = True) -> None:
        """Send requests, as one transaction.

        Args:
            requests: the requests.
            commit: commit at once; otherwise the transaction goes on until ``commit``.

        Raises:
            LayerUnreachable: the connection is lost.
        """
        try:
            for statement, parameters in requests:
                self._send(statement, parameters)
            if commit:
                self.commit()
            else:
                self._pgconn.send_flush_request()
                self._flush()
        except (psycopg.Error, OSError) as exc:
            raise self._lost(exc) from exc

    def commit(self) -> None:
        """Commit; the answer is one without rows, with the status ``PIPELINE_SYNC``.

        Raises:
            LayerUnreachable: the connection is lost.
        """
        try:
            self._pgconn.pipeline_sync()
            self._awaited.append(None)
            self._flush()
        except (psycopg.Error, OSError) as exc:
            raise self._lost(exc) from exc

    def receive(self) -> list[PGresult]:
        """Return the answers that have come, without waiting.

        Raises:
            LayerUnreachable: the connection is lost, or leads to a server that cannot serve us now.
            LayerMisconfigured: the layer's tables are missing.
            TransportError: the server refuses a request.
        """
        pgconn = self._pgconn
        answers = []
        try:
            pgconn.consume_input()
            while self._awaited and not pgconn.is_busy():
                answer = pgconn.get_result()
                if answer is None or answer.status == ExecStatus.PIPELINE_SYNC:
                    self._awaited.popleft()
                if answer is not None and self._is_wanted(answer):
                    answers.append(answer)
        except (psycopg.Error, OSError) as exc:
            raise self._lost(exc) from exc
        return answers

    def wait(self, deadline: float) -> list[PGresult]:
        """Return all the answers that are due, the commits' excepted.

        Raises:
            LayerUnreachable: they have not come until ``deadline`` (monotonic), or as ``receive``.
        """
        answers: list[PGresult] = []
        while self._awaited:
            if not self.readable(deadline - monotonic()):
                raise LayerUnreachable("the channel layer's PostgreSQL does not answer")
            answers += self.receive()
        return [answer for answer in answers if answer.status != ExecStatus.PIPELINE_SYNC]

    def readable(self, timeout: float = 0.0) -> bool:
        """Wait up to ``timeout`` seconds for an answer, or for the end of the connection."""
        try:
            return is_ready(self.fileno(), timeout)
        except (psycopg.Error, OSError):
            return True

    def notifications(self) -> list[bytes]:
        """Return the payloads of the notifications that have come with ``receive``."""
        payloads = []
        while (found := self._pgconn.notifies()) is not None:
            payloads.append(found.extra)
        return payloads

    @property
    def _pgconn(self) -> PGconn:
        if self._connection is None:
            raise LayerUnreachable("the connection to the channel layer's PostgreSQL is lost")
        return self._connection.pgconn

    def _send(self, statement: Statement, parameters: Iterable[Parameter]) -> None:
        name = statement.name.encode()
        if statement.name not in self._known:
            self._pgconn.send_prepare(name, statement.sql.encode())
            self._known.add(statement.name)
            self._awaited.append(False)
        values = [_encode(value) for value in parameters]
        formats = [int(isinstance(value, bytes)) for value in parameters]
        self._pgconn.send_query_prepared(name, values, formats, result_format=1)
        self._awaited.append(True)

    def _is_wanted(self, answer: PGresult) -> bool:
        if answer.status not in _DONE:
            raise _refusal(answer)
        return answer.status == ExecStatus.PIPELINE_SYNC or self._awaited[0] is True

    def _flush(self) -> None:
        deadline = monotonic() + self._timeout
        while self._pgconn.flush():
            if not is_ready(self.fileno(), deadline - monotonic(), writing=True):
                raise LayerUnreachable("the channel layer's PostgreSQL accepts no data")
            if self.readable():  # or both sides would wait for the other to read
                self._pgconn.consume_input()

    def _lost(self, exc: Exception) -> LayerUnreachable:
        return LayerUnreachable(
            f"the connection to the channel layer's PostgreSQL is lost: {_one_line(exc)}"
        )


# Connections of the parent process, in a forked child.
_parents: list[psycopg.Connection[Any]] = []


def _encode(value: Parameter) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, (str, int, float)):
        return str(value).encode()
    escaped = (str(item).replace("\\", r"\\").replace('"', r"\"") for item in value)
    return ("{" + ",".join(f'"{item}"' for item in escaped) + "}").encode()


def _refusal(answer: PGresult) -> TransportError:
    state = (answer.error_field(DiagnosticField.SQLSTATE) or b"").decode()
    message = answer.error_message.decode(errors="replace").strip()
    if state == _NO_SUCH_TABLE:
        return LayerMisconfigured(
            "The channel layer's tables are missing from its database: put 'channels_postgres' "
            f"into INSTALLED_APPS and run migrate ({message})."
        )
    if state.startswith(_UNREACHABLE):
        return LayerUnreachable(f"the channel layer's PostgreSQL cannot serve: {message}")
    return TransportError(f"the channel layer's PostgreSQL refuses: {message}")


def _one_line(exc: Exception) -> str:
    return " ".join(str(exc).split())
