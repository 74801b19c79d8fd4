"""Checks of ``CQ`` and of what its entries need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured

from cq_compat.conf import Settings
from cq_compat.retention import rules


@register("cq")
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Check ``CQ``, and the tasks' option ``retention``."""
    return list(_check())


def _check() -> Iterator[CheckMessage]:
    try:
        conf = Settings.read()
        rules(current_app, None)
    except ImproperlyConfigured as exc:
        yield Error(
            f"The settings of the task queue cannot be used: {exc}",
            hint="Mend CQ in the settings, or the task's option; without CQ all have defaults.",
            id="cq.E004",
        )
        return
    if conf.DATABASE and conf.DATABASE not in settings.DATABASES:
        known = ", ".join(map(repr, sorted(settings.DATABASES))) or "none at all"
        yield Error(
            f"CQ['DATABASE'] is {conf.DATABASE!r}, which DATABASES has not (there is {known}).",
            hint=f"Add {conf.DATABASE!r} to DATABASES, or leave CQ['DATABASE'] out.",
            id="cq.E005",
        )
    if conf.DURABLE and not conf.SEND_ON_COMMIT:
        atomic = [alias for alias, db in settings.DATABASES.items() if db.get("ATOMIC_REQUESTS")]
        if atomic:
            yield Warning(
                "CQ['SEND_ON_COMMIT'] is False while requests are transactions: a worker may begin "
                "a task before the rows that it is about are there.",
                hint="Leave CQ['SEND_ON_COMMIT'] out, or set ATOMIC_REQUESTS of "
                f"{', '.join(map(repr, atomic))} to False.",
                id="cq.W005",
            )
