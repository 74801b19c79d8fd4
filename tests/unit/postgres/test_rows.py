"""PostgreSQL's binary answers are read as they are meant."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from cq_transport.layers.postgres import rows
from cq_transport.layers.postgres.rows import Taken


class Answer:
    """Rows as libpq gives them."""

    def __init__(self, *found: tuple[bytes | None, ...]) -> None:
        self._rows = found
        self.ntuples = len(found)

    def get_value(self, row: int, column: int) -> bytes | None:
        return self._rows[row][column]


def answer(*found: tuple[bytes | None, ...]) -> Any:
    return Answer(*found)


def int8(number: int) -> bytes:
    return struct.pack("!q", number)


def float8(number: float) -> bytes:
    return struct.pack("!d", number)


def test_taken() -> None:
    found = answer(
        (int8(7), b"cq.app.mail", b"\x00\xff", float8(1.5), float8(-0.25), int8(2**40)),
        (int8(8), "ä".encode(), b"", float8(2.0), float8(60.0), int8(3)),
    )

    assert list(rows.taken(found)) == [
        Taken(7, "cq.app.mail", b"\x00\xff", 1.5, -0.25, 2**40),
        Taken(8, "ä", b"", 2.0, 60.0, 3),
    ]


def test_lowest_ids() -> None:
    found = answer((b"a", int8(1)), (b"b", int8(2)))

    assert list(rows.lowest_ids(found)) == [("a", 1), ("b", 2)]


def test_fact_rows() -> None:
    found = answer((b"row", b"\x01"), (b"other", b"\x00"))

    assert list(rows.fact_rows(found)) == [("row", True), ("other", False)]


def test_integers() -> None:
    assert rows.integers(answer((int8(-1),), (int8(9),))) == [-1, 9]
    assert rows.integers(answer()) == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [(b"committed", True), (b"aborted", False), (b"in progress", None), (None, False)],
)
def test_outcome(status: bytes | None, expected: bool | None) -> None:
    assert rows.committed(answer((status,))) is expected
