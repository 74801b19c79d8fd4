"""Tasks as django-cq has them, made of Celery's: the body's first argument is the task itself."""
