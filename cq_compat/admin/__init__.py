"""Tasks and workers in Django's admin: to be looked at, and acted upon by verbs with permissions of
their own.

Every page is made by queries that an index bounds, however many tasks there are.
"""

from django.contrib import admin

from cq_compat.admin.tasks import TaskAdmin
from cq_compat.admin.workers import WorkerAdmin
from cq_compat.models import Task, Worker

__all__ = ["TaskAdmin", "WorkerAdmin"]

admin.site.register(Task, TaskAdmin)
admin.site.register(Worker, WorkerAdmin)
