"""One set of cases at kombu's level, run on every layer and on Celery's own Redis transport."""
