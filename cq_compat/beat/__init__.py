"""The schedules of django-celery-beat, run by one beat at a time and noted with each task's row."""

from cq_compat.beat.scheduler import Scheduler

__all__ = ["Scheduler"]
