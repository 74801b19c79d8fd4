"""The settings of this app: the entries of ``CQ`` in Django's settings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

ON_DATABASE_DOWN = ("raise", "publish")
#: Names of arguments and results that are not shown to everybody, as regular expressions.
SECRETS = (
    *("password", "passwd", "passphrase", "secret", "token", "key", "authorization"),
    *("credential", "cookie", "signature"),
)


@dataclass(frozen=True)
class Settings:
    """The entries of ``CQ``.

    Args:
        DURABLE: keep every task in the database before it is sent. If false, rows are written from
            Celery's signals alone and nothing waits for them: the way to begin on another broker.
        MIRROR: keep rows, from Celery's signals, of the tasks that the ledger does not keep: those
            of other brokers, or all where ``DURABLE`` is false.
        DATABASE: alias of the database that has the tasks; empty asks the database routers.
        LEASE: seconds for which a worker that is not heard of keeps its tasks.
        SEND_ON_COMMIT: send a task when the transaction that published it commits. If false, at
            once, as Celery does: a worker may then see the task before what it is about.
        ON_DATABASE_DOWN: ``raise``, or ``publish`` without a row; the worker then makes one.
        MAX_DEATHS: deaths of workers that a task with late acknowledgement survives.
        RETENTION: by state, how long finished tasks are kept: seconds, a ``timedelta``, or ``None``
            for ever. States that are not named follow Celery's ``result_expires``.
        LOG_LINES: lines that are kept of what one body logs, the last ones; 0 keeps none.
        REDACT: regular expressions; the admin hides what stands under a name that one of them
            matches from users without the permission ``cq.view_arguments``.
    """

    DURABLE: bool = True
    MIRROR: bool = True
    DATABASE: str = ""
    LEASE: float = 20.0
    SEND_ON_COMMIT: bool = True
    ON_DATABASE_DOWN: str = "raise"
    MAX_DEATHS: int = 3
    RETENTION: Mapping[str, float | timedelta | None] = field(default_factory=dict)
    LOG_LINES: int = 1000
    REDACT: Sequence[str] = SECRETS

    @classmethod
    def read(cls) -> Settings:
        """Read ``settings.CQ``.

        Raises:
            ImproperlyConfigured: an entry that there is not, or a value that means nothing.
        """
        given: Any = getattr(settings, "CQ", {})
        if not isinstance(given, Mapping):
            raise ImproperlyConfigured(f"CQ is {given!r}; it must be a dict of entries.")
        known = {entry.name for entry in fields(cls)}
        if unknown := set(given) - known:
            raise ImproperlyConfigured(
                f"CQ has no entry {', '.join(map(repr, sorted(unknown)))}; "
                f"there are {', '.join(sorted(known))}."
            )
        read = cls(**given)
        try:
            read._validate()
        except (TypeError, AttributeError) as exc:
            raise ImproperlyConfigured(f"CQ has a value of the wrong type: {exc}.") from exc
        return read

    def _validate(self) -> None:
        if self.ON_DATABASE_DOWN not in ON_DATABASE_DOWN:
            raise ImproperlyConfigured(
                f"CQ['ON_DATABASE_DOWN'] is {self.ON_DATABASE_DOWN!r}; "
                f"it must be one of {', '.join(map(repr, ON_DATABASE_DOWN))}."
            )
        if not self.LEASE >= MIN_LEASE:
            raise ImproperlyConfigured(
                f"CQ['LEASE'] is {self.LEASE!r}; it must be {MIN_LEASE:g} seconds or more, "
                f"because workers renew it every {HEARTBEAT:g} seconds at most."
            )
        if self.MAX_DEATHS < 1:
            raise ImproperlyConfigured("CQ['MAX_DEATHS'] must be 1 or more.")
        if not (isinstance(self.LOG_LINES, int) and self.LOG_LINES >= 0):
            raise ImproperlyConfigured(
                f"CQ['LOG_LINES'] is {self.LOG_LINES!r}; it must be a whole number; 0 keeps none."
            )
        for state, age in self.RETENTION.items():
            if not is_age(age):
                raise ImproperlyConfigured(
                    f"CQ['RETENTION'][{state!r}] is {age!r}; it must be seconds, a timedelta, or "
                    "None to keep such tasks for ever."
                )
        self._validate_patterns()

    def _validate_patterns(self) -> None:
        if isinstance(self.REDACT, str):
            raise ImproperlyConfigured(
                f"CQ['REDACT'] is {self.REDACT!r}; it must be a list of patterns."
            )
        for pattern in self.REDACT:
            try:
                re.compile(pattern)
            except re.error as exc:
                raise ImproperlyConfigured(
                    f"CQ['REDACT'] has {pattern!r}, which is no regular expression: {exc}."
                ) from exc


def is_age(value: object) -> bool:
    """Tell whether a value says how long something is kept."""
    if isinstance(value, timedelta):
        return value >= timedelta()
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value is None or (is_number and value >= 0)  # type: ignore[operator]


#: Most seconds between two renewals of a lease.
HEARTBEAT = 5.0
#: Seconds below which a lease would not survive one late renewal.
MIN_LEASE = 3.0

_read: Settings | None = None


def conf() -> Settings:
    """Return the settings, read once."""
    global _read
    if _read is None:
        _read = Settings.read()
    return _read


def _forget(*, setting: str, **kwargs: Any) -> None:
    global _read
    if setting == "CQ":
        _read = None


setting_changed.connect(_forget)
