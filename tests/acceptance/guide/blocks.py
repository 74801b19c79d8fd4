"""The fenced blocks of a Markdown page, and what each is for.

The words after the opening fence are for the tests; readers see the language only:

    python settings             appended to the project's settings
    python settings anew        the same, in a project that has seen no other block of the page
    python settings alone       the same as "anew"; then one message goes there and back
    python file=shop/tasks.py   the contents of that file, whatever the language
    pycon                       typed into `manage.py shell`, with what it answers
    console                     commands after `$ `, each with lines that it must print
    console exit=1              the same, of commands that end with that exit code
    console terminal=worker     the same in a terminal of that name, where a command may go on: `^C`
                                ends it, and lines without a command are printed while it goes on
    ... illustration="reason"   not executed, for that reason

In the lines that must be printed, `...` stands for anything.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.daemon import ROOT

#: Where the guide is, and its pages.
GUIDE = ROOT / "migration_guide"
PAGES = sorted(GUIDE.glob("*.md"))
FENCE = re.compile(r"^(\s*)```(.*)$")
#: The marks that say what to do with a block of any language.
USES = ("settings", "file", "illustration")
#: The languages that say it themselves.
LANGUAGES = ("pycon", "console")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, the words after its fence, and what is in it."""

    page: str
    line: int
    language: str
    marks: dict[str, str]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def uses(self) -> list[str]:
        """What is to be done with the block; a sound one has one use."""
        named = [mark for mark in USES if mark in self.marks]
        return named or [self.language for _ in range(self.language in LANGUAGES)]


def read_blocks(path: Path) -> list[Block]:
    """Return the blocks of a page in their order. Raises: ValueError at a fence that is amiss."""
    return list(_blocks(path.name, path.read_text()))


def _blocks(page: str, text: str) -> Iterator[Block]:
    start, info, lines = 0, "", list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if fence and fence[1]:
            raise ValueError(f"{page}:{number}: an indented fence is not looked at")
        if fence and not start:
            start, info, lines = number, fence[2], []
        elif fence:
            language, marks = _read_info(info)
            yield Block(page, start, language, marks, "".join(f"{line}\n" for line in lines))
            start = 0
        else:
            lines.append(line)
    if start:
        raise ValueError(f"{page}:{start}: the block has no end")


def _read_info(info: str) -> tuple[str, dict[str, str]]:
    language, *marks = shlex.split(info) or [""]
    return language, {name: value for name, _, value in (mark.partition("=") for mark in marks)}
