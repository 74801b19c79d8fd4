"""The examples of the README of django-cq 0.3, with `cq` replaced by `cq_compat`.

What they leave out is added: imports, the addresses, and the bodies of the tasks that they name.
"""
# ruff: noqa: UP031

import logging
from typing import Any

from cq_compat import task

email_addresses = ["a@dummy.org", "b@dummy.org"]


@task
def send_email(cqt: Any, addr: str) -> str:
    return "OK"


@task
def send_emails(cqt: Any) -> str:
    for addr in email_addresses:
        cqt.subtask(send_email, addr)
    return "OK"


@task
def task_a(cqt: Any) -> None:
    pass


@task
def task_b(cqt: Any) -> None:
    pass


@task
def parent(cqt: Any) -> None:
    task_a.delay()  # not a subtask
    cqt.subtask(task_b)  # subtask


@task
def calc_a(cqt: Any, number: int) -> int:
    return number * 10


@task
def add_a_to_4(cqt: Any, a: int, four: int) -> int:
    return a + four


@task
def calculate_something(cqt: Any) -> Any:
    return calc_a.delay(3).chain(add_a_to_4, (4,))


@task(atomic=False)
def unsafe_task(cqt: Any) -> None:
    pass


@task
def logs(cqt: Any) -> None:
    cqt.log("standard old log")
    cqt.log("debugging log", logging.DEBUG)


@task
def has_subtask_that_logs(cqt: Any) -> None:
    cqt.log("above")
    cqt.subtask(logs)


@task
def holds_logs_back(cqt: Any) -> None:
    for ii in range(100):
        cqt.log("iteration %d" % ii, publish=False)
    cqt.log("done")  # publish=True


@task
def keeps_ten_lines(cqt: Any) -> None:
    for ii in range(100):
        cqt.log("iteration %d" % ii, publish=False)
    cqt.log("done", limit=10)


@task
def a_task(cqt: Any) -> None:
    pass
