"""The table of what backends lack is true to the cases."""

import ast
from pathlib import Path

from tests.conformance.backends import BACKENDS, LACKS


def test_every_lack_is_a_case_of_a_backend() -> None:
    cases = {
        node.name
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    traits = {trait for backend in BACKENDS for trait in (backend.name, *backend.traits)}

    assert set(LACKS) <= traits
    assert {case for lacks in LACKS.values() for case in lacks} <= cases
