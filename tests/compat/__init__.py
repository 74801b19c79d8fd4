"""The integration tests of Celery and kombu, run over `redis://` and over `channels://`."""
