"""What a console block says: commands, and lines that they must print."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

PROMPT = "$ "
INTERRUPT = "^C"
ANYTHING = "..."


@dataclass
class Step:
    """A command or an interrupt, or "" for what goes on, and the lines that follow it."""

    command: str
    lines: list[str] = field(default_factory=list)


def read_steps(text: str) -> list[Step]:
    """Return the steps of a console block in their order."""
    steps: list[Step] = []
    for line in text.replace("\\\n", "").splitlines():
        if line.startswith(PROMPT):
            steps.append(Step(line.removeprefix(PROMPT)))
        elif line == INTERRUPT:
            steps.append(Step(INTERRUPT))
        else:
            steps or steps.append(Step(""))
            steps[-1].lines.append(line)
    return steps


def missing(lines: Sequence[str], output: str) -> list[str]:
    """Return those of `lines` that `output` does not have in that order, from the first miss."""
    return read_until(lines, output.splitlines())[0]


def read_until(lines: Sequence[str], printed: Sequence[str]) -> tuple[list[str], int]:
    """Return those of `lines` that were not printed, and how many printed lines were read."""
    read = 0
    for index, line in enumerate(lines):
        if line.strip() in ("", ANYTHING):
            continue
        pattern = ".*".join(re.escape(part) for part in line.strip().split(ANYTHING))
        later = range(read, len(printed))
        found = (at for at in later if re.fullmatch(pattern, printed[at].strip()))
        if (at := next(found, None)) is None:
            return list(lines[index:]), len(printed)
        read = at + 1
    return [], read
