"""How long finished tasks are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from celery import Celery
from django.core.exceptions import ImproperlyConfigured

from cq_compat import states
from cq_compat.conf import conf, is_age
from cq_compat.dialects import Dialect


class Rule(NamedTuple):
    """How long tasks of one name, one state or both are kept; an empty one means all.

    Args:
        age: seconds after their end; ``None`` for ever.
    """

    age: float | None
    state: str = ""
    name: str = ""


def rules(app: Celery, default: float | None) -> list[Rule]:
    """Return the rules of a project, of which the first that fits decides.

    A task's own option ``retention`` is an age or ages by state; then comes ``CQ["RETENTION"]``,
    then Celery's ``result_failure_expires`` for failures (since Celery 5.7), then its
    ``result_expires``, which is ``default``.

    Raises:
        ImproperlyConfigured: a task's option is no age.
    """
    found = [rule for name, task in app.tasks.items() for rule in _of_task(name, task)]
    found += [Rule(_seconds(age), state) for state, age in conf().RETENTION.items()]
    failure: float | timedelta | None = app.conf.get("result_failure_expires")
    if failure is not None:
        found.append(Rule(_seconds(failure) or None, states.FAILURE))
    return [*found, Rule(default)]


def over(rules: Sequence[Rule], dialect: Dialect) -> tuple[str, list[Any]]:
    """Return the expression, with its parameters, that a row's time is over by the rules."""
    clauses, params = [], []
    for rule in rules:
        named = [(column, value) for column, value in rule._asdict().items() if column != "age"]
        fits = [(column, value) for column, value in named if value]
        when = " AND ".join(f"{column} = %s" for column, _ in fits) or "1 = 1"
        clauses.append(f"WHEN {when} THEN {_past(rule.age, dialect)}")
        params += [value for _, value in fits] + ([] if rule.age is None else [-rule.age])
    return f"CASE {' '.join(clauses)} ELSE 0 END", params


def youngest(rules: Sequence[Rule]) -> float | None:
    """Return the age below which no rule deletes anything; ``None`` if none ever does."""
    return min((rule.age for rule in rules if rule.age is not None), default=None)


def _past(age: float | None, dialect: Dialect) -> str:
    return "0" if age is None else f"CASE WHEN finished_at < {dialect.later} THEN 1 ELSE 0 END"


def _of_task(name: str, task: Any) -> list[Rule]:
    if not hasattr(task, "retention"):
        return []
    option = task.retention
    ages = option.items() if isinstance(option, Mapping) else [("", option)]
    for _, age in ages:
        if not is_age(age):
            raise ImproperlyConfigured(
                f"The option retention of the task {name} has {age!r}; it must be seconds, a "
                "timedelta, None to keep it for ever, or a mapping of states to these."
            )
    return [Rule(_seconds(age), state, name) for state, age in ages]


def _seconds(age: Any) -> float | None:
    if isinstance(age, timedelta):
        return age.total_seconds()
    return None if age is None else float(age)
