"""What every process must see of exchanges, queues and bindings, as rows of the layer's groups.

A fact is a list of texts of any length and alphabet. A row has room for 100 characters, so a fact
is written as JSON and cut into parts: ``DIGEST.NUMBER.COUNT.PART``, of which most facts need one.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import NamedTuple

Fact = tuple[str, ...]

_ROW_LENGTH = 100
_DIGEST_LENGTH = 16
_PART_LENGTH = _ROW_LENGTH - _DIGEST_LENGTH - len(".999.999.")


class Found(NamedTuple):
    """A fact in the table, and whether its lease ends."""

    fact: Fact
    is_leased: bool


def to_rows(fact: Fact) -> list[str]:
    """Return the rows that hold a fact."""
    text = json.dumps(fact, separators=(",", ":"))
    digest = sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
    parts = [text[at : at + _PART_LENGTH] for at in range(0, len(text), _PART_LENGTH)]
    return [f"{digest}.{number}.{len(parts)}.{part}" for number, part in enumerate(parts)]


def from_rows(rows: Iterable[tuple[str, bool]]) -> Iterator[Found]:
    """Yield the facts of one key, each once, in the order of ``rows``; incomplete ones are none."""
    parts: defaultdict[str, dict[int, str]] = defaultdict(dict)
    found = []
    for row, is_leased in rows:
        digest, number, count, part = row.split(".", 3)
        parts[digest][int(number)] = part
        if len(parts[digest]) == int(count):
            found.append((digest, is_leased))
    for digest, is_leased in dict(found).items():
        text = "".join(part for _, part in sorted(parts[digest].items()))
        yield Found(tuple(json.loads(text)), is_leased)
