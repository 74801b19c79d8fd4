"""Hides what stands under a telling name in arguments, results and tracebacks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from cq_compat.conf import conf

HIDDEN = "•••"
#: What stands before a value: a name, perhaps in quotes, and = or :
_VALUE = r"""[\w-]*["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s,;)}\]]+)"""


class Redaction:
    """Hides values by the patterns of ``CQ["REDACT"]``.

    Args:
        shows_all: hide nothing.
    """

    def __init__(self, *, shows_all: bool = False) -> None:
        patterns = () if shows_all else conf().REDACT
        joined = "|".join(f"(?:{pattern})" for pattern in patterns)
        self._name = re.compile(joined, re.IGNORECASE) if patterns else None
        self._assignment = re.compile(rf"([\w-]*(?:{joined}){_VALUE}", re.IGNORECASE)

    def text(self, text: str) -> str:
        """Return a text, such as a traceback, without the values that are assigned in it."""
        return self._assignment.sub(rf"\1{HIDDEN}", text) if self._name else text

    def value(self, value: Any) -> Any:
        """Return a value of JSON without what is hidden."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self._under(key, item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.value(item) for item in value)
        return value

    def _under(self, key: Any, value: Any) -> Any:
        return HIDDEN if self._name and self._name.search(str(key)) else self.value(value)

    def arguments(self, shown: str) -> str:
        """Return the representation of arguments without what is hidden: all of it, where it cannot
        be read and has a name that is not to be shown.
        """
        if self._name is None or not self._name.search(shown):
            return shown
        try:
            return repr(self.value(ast.literal_eval(shown)))
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return HIDDEN

    def result(self, stored: str | None, content_type: str) -> str:
        """Return a stored result, indented if it is JSON; other forms are not decoded here."""
        if not stored:
            return ""
        if content_type != "application/json":
            return f"{content_type.rpartition('/')[2] or 'unknown form'}, {len(stored)} characters"
        try:
            value = self.value(json.loads(stored))
        except ValueError:
            return self.text(stored)
        return json.dumps(value, indent=2, ensure_ascii=False)
