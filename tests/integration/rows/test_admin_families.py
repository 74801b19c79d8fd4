"""A task's family on its page in Django's admin."""

import re

import pytest
from django.db import connections
from django.test import Client

from cq_compat import states
from cq_compat.clock import Now
from tests.integration.rows.plans import Recorder
from tests.integration.rows.test_admin import LIST, make, page, shown

pytestmark = pytest.mark.usefixtures("empty")


def test_a_page_shows_the_family(operator: Client, database: str) -> None:
    root = make(states.WAITING, name="shop.root")
    branch = make(states.SUCCESS, name="shop.branch", parent_id=root.pk, root_id=root.pk)
    kin = {"root_id": root.pk, "is_subtask": True}
    leaf = make(states.FAILURE, name="shop.leaf", parent_id=branch.pk, **kin)
    after = make(states.PENDING, name="shop.after", previous_id=branch.pk, is_held=True, **kin)
    recorder = Recorder()

    with connections[database].execute_wrapper(recorder):
        found = shown(operator.get(page(leaf)))

    family = re.sub(" +", " ", found[found.index("Tree") :])
    places = [family.index(str(task)) for task in (root, branch, leaf, after)]
    assert places == sorted(places)
    assert f"{leaf} FAILURE" in family and f"→ {after} PENDING" in family
    assert len(recorder.statements) < 30


def test_a_large_family_is_cut(operator: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cq_compat.admin.families.MEMBERS", 5)
    monkeypatch.setattr("cq_compat.admin.families.DEPTH", 2)
    root = above = make(states.SUCCESS, name="shop.root")
    for _ in range(3):
        above = make(states.SUCCESS, parent_id=above.pk, root_id=root.pk)

    deep = shown(operator.get(page(root)))
    assert "…" in deep and "There are more." not in deep
    for _ in range(3):
        make(states.SUCCESS, parent_id=root.pk, root_id=root.pk)
    assert "There are more." in shown(operator.get(page(root)))


def test_tasks_that_wait_for_others_are_found(operator: Client) -> None:
    waiting = make(states.WAITING, waiting_since=Now())
    held, other = make(states.PENDING, is_held=True), make(states.PENDING)

    names = ("parents", "held", "waiting")
    lists = {name: operator.get(f"{LIST}?state={name}").content.decode() for name in names}

    for name, task in (("parents", waiting), ("held", held), ("waiting", other)):
        assert [found for found, text in lists.items() if task.pk in text] == [name]
