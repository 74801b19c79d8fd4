"""Hides what stands under a telling name in arguments, results and tracebacks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from cq_compat.conf import conf

HIDDEN = "•••"
_WORD = re.compile(r"[\w-]+")
#: A name, perhaps in quotes, and = or :
_NAME = re.compile(r"""([\w-]+)["']?\s*[=:]\s*""")
#: What stands after it: a quoted text, a bracket with the rest of its line, or a word.
_VALUE = re.compile(
    r""""[^"]*"|'[^']*'|[\[({].*|(?:(?:bearer|basic|token)\s+)?[^\s,;&)}\]]+""", re.IGNORECASE
)
#: Names of classes, which stand before messages.
_CLASSES = ("Error", "Exception", "Warning")


class Redaction:
    """Hides values by the patterns of ``CQ["REDACT"]``.

    Args:
        shows_all: hide nothing.
    """

    def __init__(self, *, shows_all: bool = False) -> None:
        patterns = () if shows_all else conf().REDACT
        self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]

    def text(self, text: str) -> str:
        """Return a text, such as a traceback, without the values that are assigned in it."""
        shown, position = "", 0
        for name in _NAME.finditer(text):
            if name.start() < position or not self._hides(name[1]):
                continue
            if value := _VALUE.match(text, name.end()):
                shown += text[position : name.end()] + HIDDEN
                position = value.end()
        return shown + text[position:]

    def value(self, value: Any) -> Any:
        """Return a value, such as a result, without what is hidden."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                key: HIDDEN if self._hides(str(key)) else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return type(value)(self.value(item) for item in value)
        return value

    def arguments(self, shown: str) -> str:
        """Return the representation of arguments without what is hidden: all of it, where it cannot
        be read and has a name that is not to be shown.
        """
        try:
            value = ast.literal_eval(shown)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return HIDDEN if any(map(self._hides, _WORD.findall(shown))) else shown
        redacted = self.value(value)
        return shown if redacted == value else repr(redacted)

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

    def _hides(self, name: str) -> bool:
        return not name.endswith(_CLASSES) and any(found.search(name) for found in self._patterns)
