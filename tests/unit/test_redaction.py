"""What stands under a telling name is not shown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cq_compat.redaction import HIDDEN, Redaction

pytestmark = pytest.mark.unit
SECRET = "hunter2"


@pytest.mark.parametrize(
    "shown",
    [
        f"{{'password': '{SECRET}', 'to': 'ada'}}",
        f"('ada', {{'nested': [{{'API_KEY': '{SECRET}'}}]}})",
        f"('ada', 'https://example.com/?token={SECRET}')",
        f"('ada', <Credential {SECRET}>)",
        f"{{'to': 'ada', 'Authorization': 'Bearer {SECRET}...",  # cut short by Celery
    ],
)
def test_arguments(shown: str) -> None:
    assert SECRET not in Redaction().arguments(shown)
    assert HIDDEN in Redaction().arguments(shown)
    assert Redaction(shows_all=True).arguments(shown) == shown


@pytest.mark.parametrize("shown", ["('ada', 5)", "{'to': <User: ada>, 'n': 1}", "", "('a', ...)"])
def test_arguments_without_a_telling_name(shown: str) -> None:
    assert Redaction().arguments(shown) == shown


def test_only_what_is_hidden_is_missing() -> None:
    shown = "{'to': 'ada', 'secret': 1, 'order': (5, None)}"
    assert (
        Redaction().arguments(shown) == f"{{'to': 'ada', 'secret': '{HIDDEN}', 'order': (5, None)}}"
    )


def test_results_in_json() -> None:
    stored = json.dumps({"user": "ada", "access_token": SECRET, "all": [{"cookie": [SECRET]}]})
    found = json.loads(Redaction().result(stored, "application/json"))
    assert found == {"user": "ada", "access_token": HIDDEN, "all": [{"cookie": HIDDEN}]}


@pytest.mark.parametrize("content_type", ["application/x-python-serialize", "base64:x/msgpack", ""])
def test_other_results_are_not_decoded(content_type: str) -> None:
    assert SECRET not in Redaction(shows_all=True).result(f"password={SECRET}", content_type)


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (f"ValueError: password={SECRET} is wrong", "is wrong"),
        (f"KeyError: {{'secret_key': '{SECRET}', 'to': 'ada'}}", "'to': 'ada'"),
        ("KeyError: 'order'", "KeyError: 'order'"),
        (f"headers: Authorization: Bearer {SECRET}", "headers"),
        (f"https://example.com/?token={SECRET}&page=2", "&page=2"),
        (f"secrets = {{'a': '{SECRET}'}}", "secrets"),
        (f'    login(user, PASSWORD="{SECRET}")', "login(user"),
    ],
)
def test_tracebacks(line: str, kept: str) -> None:
    found = Redaction().text(f'Traceback:\n  File "a.py", line 5\n{line}')
    assert SECRET not in found
    assert kept in found and 'File "a.py", line 5' in found


def test_patterns_are_the_projects(settings: Any) -> None:
    settings.CQ = {"REDACT": [r"^iban$"]}
    shown = "{'iban': 'DE00', 'password': 'x'}"
    assert Redaction().arguments(shown) == f"{{'iban': '{HIDDEN}', 'password': 'x'}}"
    settings.CQ = {"REDACT": []}
    assert Redaction().arguments(shown) == shown
