"""What the statements answer, out of PostgreSQL's binary format."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from psycopg.pq.abc import PGresult

_FLOAT = struct.Struct("!d")


class Taken(NamedTuple):
    """A message that was taken from the table.

    Args:
        id: its place.
        expire: when it expires, as a Unix time.
        remaining: seconds until then.
        transaction: the one that took it.
    """

    id: int
    channel: str
    content: bytes
    expire: float
    remaining: float
    transaction: int


def taken(answer: PGresult) -> Iterator[Taken]:
    """Yield the messages of an answer to ``TAKE``, in no order."""
    for row in range(answer.ntuples):
        yield Taken(
            _integer(answer, row, 0),
            _text(answer, row, 1),
            _bytes(answer, row, 2),
            _float(answer, row, 3),
            _float(answer, row, 4),
            _integer(answer, row, 5),
        )


def lowest_ids(answer: PGresult) -> Iterator[tuple[str, int]]:
    """Yield the channels of an answer to ``LOOK``, and the lowest id of each."""
    for row in range(answer.ntuples):
        yield _text(answer, row, 0), _integer(answer, row, 1)


def fact_rows(answer: PGresult) -> Iterator[tuple[str, bool]]:
    """Yield the rows of an answer to ``FACTS``."""
    for row in range(answer.ntuples):
        yield _text(answer, row, 0), _bytes(answer, row, 1) == b"\x01"


def integers(answer: PGresult) -> list[int]:
    """Return the first column of an answer."""
    return [_integer(answer, row, 0) for row in range(answer.ntuples)]


def committed(answer: PGresult) -> bool | None:
    """Return whether an answer to ``OUTCOME`` tells of a commit, or ``None`` if it is open yet."""
    status = answer.get_value(0, 0)
    return None if status == b"in progress" else status == b"committed"


def _bytes(answer: PGresult, row: int, column: int) -> bytes:
    return answer.get_value(row, column) or b""


def _text(answer: PGresult, row: int, column: int) -> str:
    return _bytes(answer, row, column).decode()


def _integer(answer: PGresult, row: int, column: int) -> int:
    return int.from_bytes(_bytes(answer, row, column), "big", signed=True)


def _float(answer: PGresult, row: int, column: int) -> float:
    value: float = _FLOAT.unpack(_bytes(answer, row, column))[0]
    return value
