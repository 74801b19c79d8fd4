"""Facts of any length survive rows of 100 characters."""

from __future__ import annotations

import pytest

from cq_transport.layers.postgres.facts import Fact, Found, from_rows, to_rows

FACTS: list[Fact] = [
    ("type", "exchange", "topic"),
    ("binding", "exchange", "key", "queue"),
    ("queue", "x" * 1_000),
    ("queue", '日本 \N{SNOWMAN} " \\ . é'),
    ("queue", ""),
]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact[1][:8] or "empty")
def test_a_fact_comes_back(fact: Fact) -> None:
    rows = to_rows(fact)

    assert all(len(row) <= 100 for row in rows)
    assert list(from_rows([(row, False) for row in rows])) == [Found(fact, False)]


def test_the_order_of_the_parts_does_not_matter() -> None:
    rows = to_rows(FACTS[2])
    assert len(rows) > 2

    assert list(from_rows([(row, True) for row in reversed(rows)])) == [Found(FACTS[2], True)]


def test_an_incomplete_fact_is_none() -> None:
    assert list(from_rows([(row, False) for row in to_rows(FACTS[2])[:-1]])) == []


def test_facts_are_told_apart() -> None:
    rows = [(row, fact is FACTS[0]) for fact in FACTS for row in to_rows(fact)]

    assert list(from_rows(rows)) == [Found(fact, fact is FACTS[0]) for fact in FACTS]


def test_a_fact_is_found_once() -> None:
    rows = [(row, False) for row in 2 * to_rows(FACTS[2])]

    assert list(from_rows(rows)) == [Found(FACTS[2], False)]
