"""The project's app with messages that are signed and verified."""

from tests.project.celery import app

app.setup_security()
