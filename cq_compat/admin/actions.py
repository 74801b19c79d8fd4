"""Verbs on tasks, by POST, each with its permission and a line in Django's log for each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import router, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from cq_compat import operations
from cq_compat.admin.pages import REACH
from cq_compat.database import alias
from cq_compat.models import Task

#: The form's field that says that the question was answered, and the one that asks for more.
CONFIRMED, TERMINATE, FROM_TASK = "cq_confirmed", "cq_terminate", "cq_from_task"
#: Tasks that the question shows.
SHOWN = 20


@dataclass(frozen=True)
class Verb:
    """A thing to do with tasks.

    Args:
        done: what the log says.
        is_for: the tasks that it is for.
        asks: whether a single task, too, needs a second click.
    """

    name: str
    label: Any
    done: Any
    is_for: Any
    operation: Callable[[Sequence[str]], list[str]]
    asks: bool = False

    @property
    def short(self) -> str:
        """The label's first word."""
        return str(self.label).partition(":")[0]

    def fits(self, task: Task) -> bool:
        """Tell whether the verb may do something with a task."""
        if self.name in ("retry", "forget"):
            return task.is_finished
        if self.name == "requeue":
            return not task.is_finished and task.owner_id is None and task.sent_at is not None
        return not task.is_finished


VERBS = (
    Verb(
        "retry",
        gettext_lazy("Retry: run again from the beginning"),
        gettext_lazy("Retried."),
        gettext_lazy("finished tasks that have a message"),
        operations.retry,
    ),
    Verb(
        "requeue",
        gettext_lazy("Requeue: send the message again"),
        gettext_lazy("Requeued."),
        gettext_lazy("tasks that were sent and wait for a worker"),
        operations.requeue,
    ),
    Verb(
        "revoke",
        gettext_lazy("Revoke: do not run"),
        gettext_lazy("Revoked."),
        gettext_lazy("unfinished tasks"),
        operations.revoke,
        asks=True,
    ),
    Verb(
        "forget",
        gettext_lazy("Forget: delete with the result"),
        gettext_lazy("Forgotten."),
        gettext_lazy("finished tasks"),
        operations.forget,
        asks=True,
    ),
)


def is_allowed(request: HttpRequest, verb: Verb) -> bool:
    """Tell whether the user may use a verb."""
    user: Any = request.user
    return bool(user.has_perm(f"{Task._meta.app_label}.{verb.name}_task"))


def act(verb: Verb, model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponse | None:
    """Do it, after a question if there is more than one task or no way back."""
    tasks = dict(queryset.values_list("pk", "name")[:REACH])
    if (verb.asks or len(tasks) > 1) and CONFIRMED not in request.POST:
        return _question(verb, model_admin, request, tasks)
    operation = verb.operation
    if TERMINATE in request.POST and verb.name == "revoke":
        operation = partial(operations.revoke, terminate=True)
    changed = _audited(verb, request, tasks, operation)
    _report(verb, model_admin, request, len(changed), len(tasks))
    if FROM_TASK in request.POST and len(tasks) == 1 and verb.name != "forget":
        [task_id] = tasks
        return HttpResponseRedirect(_url(model_admin, "change", task_id))
    return None


def _audited(
    verb: Verb, request: HttpRequest, tasks: dict[str, str], operation: Callable[..., list[str]]
) -> list[str]:
    log = router.db_for_write(LogEntry)
    with transaction.atomic(using=alias()), transaction.atomic(using=log):
        changed = operation(list(tasks))
        entry = partial(
            LogEntry,
            user_id=request.user.pk,
            content_type=ContentType.objects.get_for_model(Task),
            action_flag=DELETION if verb.name == "forget" else CHANGE,
            change_message=_done(verb, request),
        )
        entries = [
            entry(object_id=task_id, object_repr=f"{tasks[task_id]}[{task_id}]"[:200])
            for task_id in changed
        ]
        LogEntry.objects.using(log).bulk_create(entries, batch_size=1000)
    return changed


def _done(verb: Verb, request: HttpRequest) -> str:
    terminates = TERMINATE in request.POST and verb.name == "revoke"
    return str(_("Revoked and terminated.") if terminates else verb.done)


def _report(verb: Verb, model_admin: Any, request: HttpRequest, changed: int, asked: int) -> None:
    text = ngettext("%(n)d task: %(done)s", "%(n)d tasks: %(done)s", changed)
    told = text % {"n": changed, "done": _done(verb, request)}
    if changed < asked:
        other = ngettext(
            "%(n)d was left as it is; this is for %(tasks)s.",
            "%(n)d were left as they are; this is for %(tasks)s.",
            asked - changed,
        )
        told += " " + other % {"n": asked - changed, "tasks": verb.is_for}
    level = messages.SUCCESS if changed == asked else messages.WARNING
    model_admin.message_user(request, told, level)


def _question(
    verb: Verb, model_admin: Any, request: HttpRequest, tasks: dict[str, str]
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": verb.label,
        "opts": Task._meta,
        "verb": verb,
        "count": len(tasks),
        "reach": REACH,
        "shown": list(tasks.items())[:SHOWN],
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "select_across": request.POST.get("select_across", "0"),
        "checkbox": ACTION_CHECKBOX_NAME,
        "confirmed": CONFIRMED,
        "terminate": TERMINATE if verb.name == "revoke" else "",
        "from_task": FROM_TASK if FROM_TASK in request.POST else "",
        "back": _back(model_admin, request, tasks),
        "media": model_admin.media,
    }
    return TemplateResponse(request, "admin/cq/task/question.html", context)


def _back(model_admin: Any, request: HttpRequest, tasks: dict[str, str]) -> str:
    if FROM_TASK in request.POST and len(tasks) == 1:
        return _url(model_admin, "change", next(iter(tasks)))
    query = request.GET.urlencode()
    return _url(model_admin, "changelist") + (f"?{query}" if query else "")


def _url(model_admin: Any, page: str, *args: str) -> str:
    name = f"{model_admin.admin_site.name}:{Task._meta.app_label}_task_{page}"
    return reverse(name, args=args)
