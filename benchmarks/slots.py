"""Numbers that several processes share: a cell of eight bytes for each task."""

import mmap
from collections.abc import Sequence
from pathlib import Path

REPEATED = 0  # the cell that counts tasks which ran more than once
FIRST = 1  # the cell of the first task
CELL = 8  # bytes


class Slots:
    """A file of cells, mapped into memory; tasks are numbered from `FIRST` on.

    Writing a cell is one store to memory, so a task that does it costs next to nothing.
    """

    def __init__(self, path: str | Path) -> None:
        with open(path, "r+b") as file:
            self.cells = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")

    @classmethod
    def create(cls, path: Path, tasks: int) -> "Slots":
        """Make a file with an empty cell for each of `tasks` tasks."""
        path.write_bytes(bytes(CELL * (FIRST + tasks)))
        return cls(path)

    def missing_from(self, number: int) -> int:
        """Return the first task from `number` on whose cell is empty, or the end of the cells."""
        end = len(self.cells)
        while number < end and self.cells[number]:
            number += 1
        return number

    def tasks(self) -> Sequence[int]:
        """Return what the tasks noted, in the order of their numbers."""
        return list(self.cells[FIRST:])
