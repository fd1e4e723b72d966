"""Each row of a page that tells what happens is held by a test, and each of those tests is there."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import cio_activation_tests
from cio_activation_tests.docs import pages
from cio_activation_tests.docs.rows import ROWS

TESTS = Path(cio_activation_tests.__file__).parent
HEADINGS = ("what happens", "what is there", "type", "refused", "---")


def first_cells(page: str) -> list[str]:
    lines = [line for line in pages.text_of(page).splitlines() if line.startswith("|")]
    cells = [line.strip("|").split("|")[0].strip() for line in lines]
    return [cell for cell in cells if not cell.startswith("---") and cell not in HEADINGS]


@cache
def functions_in(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("page", ROWS)
def test_each_row_is_held_by_a_test_and_no_test_by_a_row_that_went(page: str) -> None:
    cells, begun = first_cells(page), ROWS[page]
    assert len(cells) > 10
    assert [cell for cell in cells if not any(cell.startswith(start) for start in begun)] == []
    assert [start for start in begun if not any(cell.startswith(start) for cell in cells)] == []


@pytest.mark.parametrize("page", ROWS)
def test_each_of_those_tests_is_there(page: str) -> None:
    named = [(file, name) for tests in ROWS[page].values() for file, name in tests]
    assert all(tests for tests in ROWS[page].values())
    assert [(file, name) for file, name in named if name not in functions_in(file)] == []
