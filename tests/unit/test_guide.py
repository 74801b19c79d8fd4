"""The guide against what it is about: its links, and the names that its reference owes."""

from __future__ import annotations

import ast
import dataclasses
import re
from pathlib import Path

import pytest
from django.dispatch import Signal

import cq_compat.errors
import cq_transport
from cq_compat import checks, signals
from cq_compat.conf import Settings
from cq_compat.states import TRANSITIONS
from cq_transport.options import Options
from tests.acceptance.guide.blocks import GUIDE, PAGES
from tests.servers.daemon import ROOT

pytestmark = pytest.mark.unit

REFERENCE = (GUIDE / "reference.md").read_text()
LAYERS = (GUIDE / "layers.md").read_text()
HOW_IT_WORKS = (GUIDE / "how-it-works.md").read_text()
TEXTS = [*PAGES, *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CHECK = re.compile(r'id="(cq\.[EW]\d{3})"')

OPTIONS = [field.name for field in dataclasses.fields(Options)]
DEFAULTS = ast.literal_eval(
    re.search(r"^CQ = (\{.*?^\})", REFERENCE, re.MULTILINE | re.DOTALL)[1]  # type: ignore[index]
)
SIGNALS = [name for name, value in vars(signals).items() if isinstance(value, Signal)]
SETTINGS = [field.name for field in dataclasses.fields(Settings)]
CHECKS = [
    check
    for module in sorted(Path(checks.__file__).parent.glob("*.py"))
    for check in CHECK.findall(module.read_text())
]


def is_error(value: object) -> bool:
    """Tell whether a value is an error class."""
    return isinstance(value, type) and issubclass(value, Exception)


ERRORS = [
    *(name for name in cq_transport.__all__ if is_error(getattr(cq_transport, name))),
    *(name for name, value in vars(cq_compat.errors).items() if is_error(value)),
]


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = HEADING.findall(BLOCK.sub("", path.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    """Return the links of a page that lead to no file or heading of the repository."""
    broken = []
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One head\n[a](#one-head) [b](#another) [c](none.md) [d](page.md#one-head)\n")
    assert broken_links(page) == ["#another", "none.md"]


def test_every_page_is_in_the_tables_of_contents() -> None:
    names = {page.name for page in PAGES} - {"README.md"}
    assert names <= set(LINK.findall((GUIDE / "README.md").read_text()))
    linked = LINK.findall((ROOT / "README.md").read_text())
    assert {f"migration_guide/{name}" for name in names} <= set(linked)


@pytest.mark.parametrize("option", OPTIONS)
def test_option_is_in_the_reference(option: str) -> None:
    assert f"\n| `{option}` |" in REFERENCE


@pytest.mark.parametrize("option", OPTIONS)
def test_default_is_that_of_the_reference(option: str) -> None:
    shown = re.search(rf'^    "{option}": (.+),$', REFERENCE, re.MULTILINE)
    assert shown is not None
    assert ast.literal_eval(shown[1]) == getattr(Options(), option)


@pytest.mark.parametrize("entry", SETTINGS)
def test_setting_is_in_the_reference_with_its_default(entry: str) -> None:
    assert f"\n| `{entry}` |" in REFERENCE
    assert DEFAULTS[entry] == getattr(Settings(), entry)


def test_the_reference_has_no_setting_that_there_is_not() -> None:
    assert list(DEFAULTS) == SETTINGS


@pytest.mark.parametrize("verb", TRANSITIONS)
def test_transition_is_in_the_table_as_it_is_in_the_code(verb: str) -> None:
    found = TRANSITIONS[verb]
    row = f"| `{verb}` | {found.to or 'as it was'} | {found.by} | {found.guard} |"
    assert row in HOW_IT_WORKS.splitlines()


def test_the_table_has_no_other_transition() -> None:
    table = HOW_IT_WORKS.partition("| verb | to | by | guard |")[2].partition("\n\n")[0]
    assert len(re.findall(r"^\| `", table, re.MULTILINE)) == len(TRANSITIONS)


@pytest.mark.parametrize("signal", SIGNALS)
def test_signal_is_in_the_reference(signal: str) -> None:
    assert f"\n| `{signal}` |" in REFERENCE


@pytest.mark.parametrize("error", ERRORS)
def test_error_is_in_the_reference(error: str) -> None:
    assert f"\n| `{error}` |" in REFERENCE


@pytest.mark.parametrize("check", CHECKS)
def test_check_is_in_the_reference_and_has_its_fix(check: str) -> None:
    assert f"\n| `{check}` |" in REFERENCE
    assert f"\n| `{check}` |" in LAYERS


def test_there_is_something_to_look_for() -> None:
    assert len(ERRORS) > 8
    assert len(SIGNALS) > 5
    assert len(CHECKS) > 12
    assert len(SETTINGS) > 5
