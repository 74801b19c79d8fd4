"""The rows that outlive the broker."""

from __future__ import annotations

import logging
import uuid

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from cq_compat import states
from cq_compat.fields import KeyField
from cq_compat.native.family import Family
from cq_compat.native.handle import TaskHandle
from cq_compat.native.telling import Telling
from cq_compat.querysets import RowManager, TaskLogManager, TaskManager, WorkerManager
from cq_compat.verbs import TaskVerbs


class Worker(models.Model):
    """A worker process and its lease: without renewal its tasks are given to others."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    hostname = models.CharField(_("hostname"), max_length=255)
    pid = models.PositiveIntegerField(_("process id"))
    broker = models.CharField(_("broker"), max_length=255)
    started_at = models.DateTimeField(_("started at"))
    seen_at = models.DateTimeField(_("seen at"))
    lease_until = models.DateTimeField(_("lease until"), db_index=True)
    stopped_at = models.DateTimeField(_("stopped at"), null=True)

    objects = WorkerManager()

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return self.hostname


class Task(TaskVerbs, TaskHandle, Family, Telling, models.Model):
    """A task: its message, its state, its result, and who may change them."""

    id = KeyField(primary_key=True, max_length=255, editable=False)
    name = models.CharField(_("name"), max_length=255)
    state = models.CharField(_("state"), max_length=50, default=states.PENDING)

    # What was asked for
    args = models.TextField(_("arguments"), blank=True)
    kwargs = models.TextField(_("keyword arguments"), blank=True)
    broker = models.CharField(_("broker"), max_length=255, blank=True)
    exchange = models.CharField(_("exchange"), max_length=255, blank=True)
    queue = models.CharField(_("queue"), max_length=255, blank=True)
    priority = models.PositiveSmallIntegerField(_("priority"), default=0)
    message = models.TextField(_("message"), blank=True, editable=False)
    eta = models.DateTimeField(_("not before"), null=True)
    expires_at = models.DateTimeField(_("expires at"), null=True)
    retries = models.PositiveIntegerField(_("retries"), default=0)
    parent_id = models.CharField(_("parent"), max_length=255, null=True)
    root_id = models.CharField(_("root"), max_length=255, null=True)
    group_id = models.CharField(_("group"), max_length=255, null=True)
    periodic_task_name = models.CharField(_("periodic task"), max_length=255, null=True)

    # What it has to do with other tasks
    is_subtask = models.BooleanField(_("subtask"), default=False)
    previous_id = models.CharField(_("runs after"), max_length=255, null=True)
    # How the previous one must have ended, see `cq_compat.native.links`.
    runs_after = models.CharField(max_length=10, null=True, editable=False)
    # Whether it is not to be sent, because the previous one has not ended.
    is_held = models.BooleanField(_("held"), default=False)
    # Itself of a task that was replaced, and for which nobody waited: others with its id end it.
    result_from = models.CharField(_("result of"), max_length=255, null=True)
    subtasks_may_fail = models.BooleanField(_("subtasks may fail"), default=False)

    # Who may change the row
    run = models.PositiveIntegerField(_("run"), default=0)
    fence = models.PositiveIntegerField(_("fence"), default=0)
    owner = models.ForeignKey(
        Worker,
        verbose_name=_("owner"),
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,  # few rows have an owner: those of a dead one are found among the live
        related_name="tasks",
    )
    acks_late = models.BooleanField(_("acknowledged late"), default=False)
    deaths = models.PositiveSmallIntegerField(_("deaths"), default=0)
    due_at = models.DateTimeField(_("due at"), null=True)

    # What became of it
    worker = models.CharField(_("worker"), max_length=255, blank=True)
    # As it is stored; `result` is the value.
    encoded_result = models.TextField(_("result"), null=True, db_column="result")
    content_type = models.CharField(max_length=64, blank=True, editable=False)
    traceback = models.TextField(_("traceback"), null=True)
    children = models.TextField(null=True, editable=False)
    # The queue of the process that waits for the result.
    watcher = models.CharField(max_length=64, null=True, editable=False)
    # How far the body has come, as it says itself; `progress` reads them.
    progress_done = models.FloatField(_("done"), null=True)
    progress_total = models.FloatField(_("of"), null=True)
    progress_message = models.TextField(_("doing"), null=True)

    created_at = models.DateTimeField(_("created at"))
    sent_at = models.DateTimeField(_("sent at"), null=True)
    received_at = models.DateTimeField(_("received at"), null=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    # When the body ended of a task that has begun subtasks.
    waiting_since = models.DateTimeField(_("waiting since"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    # The last state if it is not SUCCESS: indexed in place of `state`, which changes too often.
    ended_as = models.CharField(max_length=50, null=True, editable=False)

    objects = TaskManager()

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        ordering = ["-created_at"]
        permissions = [
            ("retry_task", _("Can run a finished task again")),
            ("revoke_task", _("Can revoke a task")),
            ("requeue_task", _("Can send an unfinished task again")),
            ("forget_task", _("Can delete a finished task with its result")),
            ("view_arguments", _("Can see arguments and results in full")),
        ]
        indexes = [
            models.Index(fields=["created_at"], name="cq_task_created"),
            models.Index(fields=["name", "created_at"], name="cq_task_name"),
            models.Index(
                fields=["finished_at"],
                name="cq_task_finished",
                condition=Q(finished_at__isnull=False),
            ),
            # Small ones: they hold what did not end well, and what is not finished.
            models.Index(
                fields=["ended_as", "created_at"],
                name="cq_task_ended",
                condition=Q(ended_as__isnull=False),
            ),
            models.Index(
                fields=["due_at"],
                name="cq_task_due",
                condition=Q(finished_at__isnull=True, sent_at__isnull=True),
            ),
            models.Index(
                fields=["created_at"],
                name="cq_task_live",
                condition=Q(finished_at__isnull=True),
            ),
            models.Index(
                fields=["parent_id", "is_subtask"],
                name="cq_task_parent",
                condition=Q(parent_id__isnull=False),
            ),
            models.Index(
                fields=["periodic_task_name", "created_at"],
                name="cq_task_periodic",
                condition=Q(periodic_task_name__isnull=False),
            ),
            models.Index(
                fields=["group_id"], name="cq_task_group", condition=Q(group_id__isnull=False)
            ),
            # Of families, what is asked whenever one of their tasks ends. The youngest is looked at
            # first: older ones, which have ended, leave their entries behind for a while.
            models.Index(
                fields=["parent_id", "created_at"],
                name="cq_task_open_subtask",
                condition=Q(is_subtask=True, finished_at__isnull=True),
            ),
            models.Index(
                fields=["parent_id"],
                name="cq_task_failed_subtask",
                condition=Q(is_subtask=True, ended_as__isnull=False),
            ),
            models.Index(
                fields=["previous_id"], name="cq_task_next", condition=Q(previous_id__isnull=False)
            ),
            models.Index(
                fields=["previous_id"],
                name="cq_task_held",
                condition=Q(is_held=True, finished_at__isnull=True),
            ),
            models.Index(
                fields=["waiting_since"],
                name="cq_task_waiting",
                condition=Q(waiting_since__isnull=False, finished_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}[{self.id}]"

    @property
    def is_finished(self) -> bool:
        """Whether the task stays as it is until an operator runs it again."""
        return self.finished_at is not None


class TaskLog(models.Model):
    """A line that a task has logged; it goes with its task."""

    # Written beside the transaction that makes the task's row, and perhaps before it.
    task = models.ForeignKey(
        Task,
        verbose_name=_("task"),
        on_delete=models.CASCADE,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    root_id = KeyField(_("root"), max_length=255, editable=False)
    # Of the lines of one body, so that those show which are not kept.
    number = models.PositiveIntegerField(_("number"))
    level = models.PositiveSmallIntegerField(_("level"), default=logging.INFO)
    logger = models.CharField(_("logger"), max_length=255, blank=True)
    message = models.TextField(_("message"))
    created_at = models.DateTimeField(_("time"))

    objects = TaskLogManager()

    class Meta:
        verbose_name = _("line of a task's log")
        verbose_name_plural = _("logs of tasks")
        # As they were written down: those of one body in its own order, whatever the clocks say.
        ordering = ["id"]
        indexes = [
            models.Index(fields=["task", "id"], name="cq_tasklog_task"),
            models.Index(fields=["root_id", "id"], name="cq_tasklog_root"),
        ]

    def __str__(self) -> str:
        return str(self.message)

    @property
    def level_name(self) -> str:
        """The level as ``logging`` names it."""
        return logging.getLevelName(self.level)


class Layer(models.Model):
    """What is known of a broker's layer, and which worker's keeper looks after it."""

    broker = KeyField(primary_key=True, max_length=255)
    epoch = models.CharField(max_length=255, blank=True)
    # When the epoch was first seen: a message sent before it may be lost.
    epoch_since = models.DateTimeField(null=True)
    leader = models.UUIDField(null=True)
    leads_until = models.DateTimeField(null=True)

    objects = RowManager()

    class Meta:
        verbose_name = _("layer")
        verbose_name_plural = _("layers")

    def __str__(self) -> str:
        return str(self.broker)


class Beat(models.Model):
    """Which beat runs the schedules."""

    id = models.PositiveSmallIntegerField(primary_key=True)
    leader = models.UUIDField(null=True)
    hostname = models.CharField(max_length=255, blank=True)
    pid = models.PositiveIntegerField(null=True)
    leads_until = models.DateTimeField(null=True)

    objects = RowManager()

    class Meta:
        verbose_name = _("beat")
        verbose_name_plural = _("beats")

    def __str__(self) -> str:
        return f"{self.hostname}/{self.pid}"


class Group(models.Model):
    """The saved result of a group."""

    id = KeyField(primary_key=True, max_length=255)
    result = models.TextField()
    content_type = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("group")
        verbose_name_plural = _("groups")

    def __str__(self) -> str:
        return str(self.id)


class Chord(models.Model):
    """A chord whose body waits for the parts of its header."""

    group_id = KeyField(primary_key=True, max_length=255)
    header = models.TextField()
    size = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("chord")
        verbose_name_plural = _("chords")

    def __str__(self) -> str:
        return str(self.group_id)


class Coalescing(models.Model):
    """Which task was published last of those of which one at a time is pending or runs."""

    name = KeyField(primary_key=True, max_length=255)
    task_id = models.CharField(max_length=255)
    taken_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("coalescing")
        verbose_name_plural = _("coalescings")

    def __str__(self) -> str:
        return str(self.name)
