"""How far tasks are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from operator import length_hint
from typing import Any, TypeVar

from cq_compat.native.journal import Journaled, Step

T = TypeVar("T")
_NOTHING = Step("", None, None, "")


class Progress:
    """How far a task is, read once when it is first asked for; called, it says so.

    Args:
        task: whose progress it is.
    """

    def __init__(self, task: Progressing) -> None:
        self._task = task

    def __call__(self, done: float, total: float | None = None, message: object = "") -> None:
        """Say how far the task is; what is said between two writes is replaced by the last.

        Args:
            done: how much is done, in any unit.
            total: how much there is to do; ``None`` if nobody knows.
            message: what the task does now.
        """
        self.__dict__.pop("_step", None)
        self._task.say_progress(done, total, message)

    @property
    def done(self) -> float | None:
        """How much is done; ``None`` if the task has not said."""
        return self._step.done

    @property
    def total(self) -> float | None:
        """How much there is to do; ``None`` if the task has not said."""
        return self._step.total

    @property
    def message(self) -> str:
        """What the task does."""
        return self._step.message

    @property
    def percent(self) -> float | None:
        """How much is done of a hundred; ``None`` if it is not known how much there is to do."""
        return percent_of(self.done, self.total)

    def __bool__(self) -> bool:
        """Tell whether the task has said anything."""
        return self.done is not None

    def __str__(self) -> str:
        """Return it in words."""
        return words_of(self.done, self.total, self.message)

    def __repr__(self) -> str:
        """Return it for developers."""
        return f"<Progress: {self}>"

    @cached_property
    def _step(self) -> Step:
        return self._task.read_step() or _NOTHING


class Progressing(Journaled):
    """A task that says how far it is."""

    @property
    def progress(self) -> Progress:
        """How far the task is: ``task.progress.percent``; in a body, ``task.progress(3, 10)``."""
        return Progress(self)

    def track(
        self, items: Iterable[T], total: float | None = None, message: object = ""
    ) -> Iterator[T]:
        """Yield the items, and say after each how many are done.

        Args:
            total: how many there are; by default their length, if they have one.
        """
        if total is None:
            total = length_hint(items, 0) or None
        self.say_progress(0, total, message)
        for done, item in enumerate(items, 1):
            yield item
            self.say_progress(done, total, message)

    def say_progress(self, done: float, total: float | None, message: object) -> None:
        """Say how far the task is."""
        all_of_it = None if total is None else float(total)
        self._publish(self._journal.progress(float(done), all_of_it, str(message)))

    def read_step(self) -> Step | None:
        """Return what was said last."""
        return self._journal.step


def percent_of(done: float | None, total: float | None) -> float | None:
    """Return how much is done of a hundred."""
    return 100 * done / total if done is not None and total else None


def words_of(done: float | None, total: float | None, message: str) -> str:
    """Return how far a task is in words."""
    if done is None:
        return ""
    share = f"{done:.15g}" if total is None else f"{done:.15g} of {total:.15g}"
    return f"{share}: {message}" if message else share


def from_meta(meta: Any) -> tuple[float, float | None, str] | None:
    """Return the progress in what a task gives to Celery's ``update_state``: ``current`` or
    ``done``, ``total``, and ``message``, ``description`` or ``status``; ``None`` if it has none.
    """
    if not isinstance(meta, Mapping):
        return None
    done, total = meta.get("current", meta.get("done")), meta.get("total")
    if not _is_number(done):
        return None
    said = (meta[name] for name in ("message", "description", "status") if meta.get(name))
    return done, total if _is_number(total) else None, str(next(said, ""))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
