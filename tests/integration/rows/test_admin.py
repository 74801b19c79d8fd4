"""Tasks and workers in Django's admin: who may see and do what, and what is written down."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.messages import get_messages
from django.db import connections
from django.test import Client

from cq_compat import states
from cq_compat.lease import Lease
from cq_compat.models import Task, TaskLog, Worker
from tests.conformance.rows.messages import BROKER
from tests.integration.rows.plans import Recorder

pytestmark = pytest.mark.usefixtures("empty")

LIST, WORKERS = "/admin/cq/task/", "/admin/cq/worker/"
SECRET = "hunter2"


def make(state: str = states.SUCCESS, **values: Any) -> Task:
    """Make a task of a state."""
    from cq_compat.clock import Now

    ends = state in states.FINISHED
    known = {
        "id": str(uuid4()),
        "name": "shop.tasks.send_mail",
        "queue": "celery",
        "message": "a message",
        "created_at": Now(),
        "sent_at": Now(),
        "finished_at": Now() if ends else None,
        "ended_as": state if ends and state != states.SUCCESS else None,
    }
    return Task.objects.create(state=state, **{**known, **values})


def page(task: Task) -> str:
    """Return the path of a task's page."""
    return f"{LIST}{task.pk}/change/"


def act(client: Client, action: str, *tasks: Task, path: str = LIST, **fields: str) -> Any:
    """Send the form of the list as the browser does."""
    data = {"action": action, "index": "0", "select_across": "0", **fields}
    return client.post(path, {**data, "_selected_action": [task.pk for task in tasks]})


def shown(response: Any) -> str:
    """Return what a page says, without its tags."""
    return re.sub(r"<[^>]+>|\s+", " ", response.content.decode())


def told(response: Any) -> list[str]:
    """Return what the page says about what was done."""
    return [str(message) for message in get_messages(response.wsgi_request)]


def log() -> list[tuple[str, str, int]]:
    """Return what was written down: the task, what was done, and how it is marked."""
    from django.contrib.admin.models import LogEntry

    entries = LogEntry.objects.order_by("pk")
    return [(entry.object_id, entry.change_message, entry.action_flag) for entry in entries]


@pytest.fixture(autouse=True)
def clear_log(empty: None) -> None:
    from django.contrib.admin.models import LogEntry

    LogEntry.objects.all().delete()


def test_a_retry_by_post_is_written_down(onlooker: Client) -> None:
    task, waiting = make(states.FAILURE), make(states.PENDING)

    response = act(onlooker, "retry", task)

    assert response.status_code == 302
    task.refresh_from_db()
    assert (task.state, task.run) == (states.PENDING, 1)
    assert log() == [(task.pk, "Retried.", 2)]
    assert told(response) == ["1 task: Retried."]
    assert "1 was left as it is" in told(act(onlooker, "retry", waiting))[-1]


def test_many_are_asked_for_first(operator: Client) -> None:
    tasks = [make(states.FAILURE) for _ in range(3)]

    question = act(operator, "retry", *tasks)
    assert question.status_code == 200
    assert "3 tasks are selected" in shown(question)
    assert log() == []

    act(operator, "retry", *tasks, cq_confirmed="1")
    assert Task.objects.filter(state=states.PENDING).count() == len(log()) == 3


def test_all_that_are_found_are_changed_up_to_a_limit(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        make(states.FAILURE)
    make(states.SUCCESS)
    chosen = Task.objects.failed().first()

    fields = {"select_across": "1", "cq_confirmed": "1"}
    act(operator, "forget", chosen, path=f"{LIST}?state=FAILURE", **fields)

    assert [task.state for task in Task.objects.all()] == [states.SUCCESS]
    assert [flag for _id, _message, flag in log()] == [3] * 4


def test_revoking_asks_whether_to_end_the_body(operator: Client) -> None:
    task = make(states.PENDING)
    question = act(operator, "revoke", task, cq_from_task="1")
    assert 'name="cq_terminate"' in question.content.decode()
    assert task.state == states.PENDING

    response = act(operator, "revoke", task, cq_from_task="1", cq_confirmed="1")

    assert response["Location"] == page(task)
    task.refresh_from_db()
    assert (task.state, task.ended_as) == (states.REVOKED, states.REVOKED)


def test_requeue(operator: Client) -> None:
    task = make(states.PENDING)
    act(operator, "requeue", task)
    task.refresh_from_db()
    assert task.sent_at is None


@pytest.mark.parametrize("verb", ["requeue", "revoke", "forget"])
def test_each_verb_has_its_permission(onlooker: Client, verb: str) -> None:
    task = make(states.FAILURE if verb == "forget" else states.PENDING)
    act(onlooker, verb, task, cq_confirmed="1")
    before, task = task, Task.objects.get(pk=task.pk)
    assert (task.state, task.sent_at) == (before.state, task.created_at)
    assert log() == []
    assert f'value="{verb}"' not in onlooker.get(page(task)).content.decode()


def test_nothing_is_done_by_get_or_without_a_session(onlooker: Client, database: str) -> None:
    task = make(states.FAILURE)
    query = f"?action=retry&index=0&_selected_action={task.pk}&cq_confirmed=1"
    onlooker.get(LIST + query)
    act(Client(), "retry", task)
    forged = Client(enforce_csrf_checks=True)
    forged.cookies = onlooker.cookies
    assert act(forged, "retry", task).status_code == 403

    task.refresh_from_db()
    assert task.state == states.FAILURE


def test_rows_are_neither_added_nor_edited_nor_deleted(operator: Client) -> None:
    task = make()
    assert operator.get(f"{LIST}add/").status_code == 403
    assert operator.post(page(task), {"name": "another"}).status_code == 403
    assert operator.post(f"{LIST}{task.pk}/delete/", {"post": "yes"}).status_code == 403
    assert "delete_selected" not in operator.get(LIST).content.decode()


def test_the_page_offers_what_is_for_the_task(operator: Client) -> None:
    def verbs(task: Task) -> list[str]:
        html = operator.get(page(task)).content.decode()
        return re.findall(r'name="cq-(\w+)"', html)

    assert verbs(make(states.SUCCESS)) == ["retry", "forget"]
    assert verbs(make(states.PENDING)) == ["requeue", "revoke"]
    assert verbs(make(states.STARTED, owner_id=uuid4())) == ["revoke"]


def secretive() -> Task:
    return make(
        states.FAILURE,
        args=f"({{'to': 'ada', 'password': '{SECRET}'}},)",
        kwargs=f"{{'api_key': '{SECRET}', 'order': <Order 5>}}",
        encoded_result=f'{{"exc_type": "ValueError", "access_token": "{SECRET}"}}',
        content_type="application/json",
        traceback=f"ValueError: password={SECRET} is wrong",
    )


def test_secrets_are_hidden(onlooker: Client) -> None:
    text = shown(onlooker.get(page(secretive())))
    assert SECRET not in text
    assert "ada" in text and "is wrong" in text and "ValueError" in text


def test_who_may_sees_them(operator: Client) -> None:
    assert shown(operator.get(page(secretive()))).count(SECRET) == 4


def test_the_page_shows_the_family(operator: Client) -> None:
    parent = make(name="shop.tasks.parent")
    child = make(name="shop.tasks.child", parent_id=parent.pk, root_id=parent.pk, group_id="g")
    sibling = make(name="shop.tasks.sibling", parent_id=parent.pk, group_id="g")

    of_parent, of_child = operator.get(page(parent)), operator.get(page(child))

    assert page(child) in of_parent.content.decode()
    for relative in (parent, sibling):
        assert page(relative) in of_child.content.decode()
    assert shown(operator.get(f"{LIST}?group_id=g")).count("shop.tasks.") == 2


@pytest.mark.parametrize(
    ("query", "count"),
    [
        *(("", 4), ("?state=unfinished", 2), ("?state=waiting", 1), ("?state=running", 1)),
        *(("?state=FAILURE", 1), ("?state=SUCCESS", 1), ("?state=received", 0)),
        *(("?published=1h", 4), ("?queue=mail", 1), ("?worker=w1@test", 1), ("?q=RESIZE", 1)),
        *(("?q=shop", 4), ("?q=nothing", 0), ("?q=known", 1), ("?state=unfinished&queue=mail", 1)),
    ],
)
def test_filters_and_search(operator: Client, query: str, count: int) -> None:
    make(states.PENDING, queue="mail")
    make("PROGRESS", owner_id=uuid4(), id="known")
    make(states.FAILURE, worker="w1@test")
    make(states.SUCCESS, name="shop.tasks.resize")

    assert len(operator.get(LIST + query).context["cl"].result_list) == count


def test_nothing_is_counted_to_its_end(
    operator: Client, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cq_compat.admin.pages.REACH", 3)
    for _ in range(5):
        make()
    recorder = Recorder()
    with connections[database].execute_wrapper(recorder):
        text = shown(operator.get(LIST))

    counts = [sql for sql, _ in recorder.statements if "COUNT(" in sql and "cq_task" in sql]
    assert len(counts) == 1 and "LIMIT 4" in counts[0]
    assert "the latest 3" in text


def test_workers(operator: Client) -> None:
    lease = Lease("w1@test", BROKER)
    lease.renew()
    try:
        make(states.STARTED, owner_id=lease.owner)
        Worker.objects.create(
            hostname="gone@test",
            pid=7,
            broker=BROKER,
            **dict.fromkeys(("started_at", "seen_at", "lease_until"), "2020-01-01T00:00:00Z"),
        )
        alive, over = operator.get(f"{WORKERS}?lease=alive"), operator.get(f"{WORKERS}?lease=over")
        held = operator.get(f"{LIST}?owner__id__exact={lease.owner}&state=unfinished")
        own = operator.get(f"{WORKERS}{lease.owner}/change/")
    finally:
        lease.connection.close()
    assert "w1@test" in shown(alive) and "gone@test" not in shown(alive)
    assert "gone@test" in shown(over) and "w1@test" not in shown(over)
    assert f"owner__id__exact={lease.owner}" in alive.content.decode()
    assert len(held.context["cl"].result_list) == 1
    assert own.status_code == 200


def line(task: Task, number: int, message: str, **values: Any) -> None:
    """Make a line of a task's log."""
    from cq_compat.clock import Now

    known = {"root_id": task.pk, "logger": "shop", "created_at": Now(), "level": 20}
    TaskLog.objects.create(task=task, number=number, message=message, **{**known, **values})


def test_a_task_shows_its_progress_and_its_log(operator: Client, onlooker: Client) -> None:
    task = make("STARTED", progress_done=3, progress_total=12, progress_message="token=abc")
    below = make(root_id=task.pk, parent_id=task.pk)
    line(task, 3, "password=hunter2 <b>", level=30)
    line(below, 1, "from below", root_id=task.pk)

    full = operator.get(page(task)).content.decode()
    assert '<progress class="cq-progress" max="100" value="25.0">25 %</progress>' in full
    assert "3 of 12: token=abc" in full
    assert "2 earlier lines are not kept." in full
    assert "password=hunter2 &lt;b&gt;" in full and "cq-level-warning" in full
    assert f'href="/admin/cq/task/{below.pk}/change/"' in full and "from below" in full

    hidden = onlooker.get(page(task)).content.decode()
    assert "3 of 12" in hidden and SECRET not in hidden and "token=abc" not in hidden
    assert "from below" in onlooker.get(page(below)).content.decode()


def test_a_long_log_is_shown_from_its_end(operator: Client) -> None:
    task = make()
    task.refresh_from_db()
    known = {"task": task, "root_id": task.pk, "created_at": task.created_at}
    TaskLog.objects.bulk_create(
        TaskLog(number=n, message=f"line {n}.", **known) for n in range(1, 1002)
    )

    found = shown(operator.get(page(task)))

    assert "The last 500 lines:" in found
    assert "line 502." in found and "line 1001." in found and "line 501." not in found
