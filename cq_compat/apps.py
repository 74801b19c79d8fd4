"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.exceptions import ImproperlyConfigured

from cq_transport import register, use_ledger


class CqConfig(AppConfig):
    """Makes ``channels://`` known wherever Django is set up, checks the layer behind it, and keeps
    every task in the database.
    """

    name = "cq_compat"
    label = "cq"
    verbose_name = "Task queue"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect; no work is done here."""
        from cq_compat import checks, handlers  # noqa: F401
        from cq_compat.conf import Settings, conf
        from cq_compat.ledger import ledger

        register()
        handlers.connect_database()
        try:
            settings = conf()
        except ImproperlyConfigured:
            # A system check names it; until it is mended, publishing raises it and no worker starts
            settings = Settings()
        if settings.DURABLE or settings.MIRROR:
            handlers.connect_journal()  # first: the log is written before the end
        if settings.DURABLE:
            use_ledger(ledger)
            handlers.connect()
        if settings.MIRROR:
            handlers.connect_observer()
