"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig

from cq_transport import register


class CqConfig(AppConfig):
    """Makes ``channels://`` known wherever Django is set up, and checks the layer behind it."""

    name = "cq_compat"
    label = "cq"
    verbose_name = "Task queue"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect; no work is done here."""
        from cq_compat import checks  # noqa: F401

        register()
