"""How PostgreSQL runs statements."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from django.db import connections

from cq_compat.database import OwnConnection

Statement = tuple[str, Sequence[Any]]


class WatchedConnection(OwnConnection):
    """The workers' kind of connection, which remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.statements: list[Statement] = []

    def _run(self, statement: str, params: Sequence[Any], *how: Any) -> Any:
        self.statements.append((statement, params))
        return super()._run(statement, params, *how)


class Recorder:
    """A wrapper of Django's for statements, which remembers them."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
    ) -> Any:
        self.statements.append((sql, params or ()))
        return execute(sql, params, many, context)


def scans(alias: str, statements: Sequence[Statement]) -> list[str]:
    """Return the statements for which the whole table of tasks would be read, with their plans."""
    found = []
    for statement, params in statements:
        if "cq_task" not in statement:
            continue
        with connections[alias].cursor() as cursor:
            cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", params)
            [(plan,)] = cursor.fetchall()
        plan = json.loads(plan) if isinstance(plan, str) else plan
        if any(_is_scan(node) for node in _nodes(plan[0]["Plan"])):
            found.append(f"{statement}\n{json.dumps(plan, indent=1)}")
    return found


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _is_scan(node: dict[str, Any]) -> bool:
    return "Seq Scan" in node["Node Type"] and node.get("Relation Name") == "cq_task"
