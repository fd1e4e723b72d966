"""The architecture page names the rooms, the contracts and the functions that are there."""

from __future__ import annotations

import ast
import re
import tomllib

from cio_activation_tests.docs import pages

PAGE = "architecture.md"
PACKAGE = pages.ROOT / "cio_activation"


def section(heading: str) -> str:
    """Return the text below a second-level heading."""
    found = re.split(r"^## ", pages.text_of(PAGE), flags=re.MULTILINE)
    return next(part for part in found if part.startswith(heading))


def defined(path: str) -> set[str]:
    """Return the names of functions, methods and classes of a module."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {n.name for n in ast.walk(ast.parse((PACKAGE / path).read_text())) if isinstance(n, kinds)}


def test_every_room_has_its_line() -> None:
    listed = set(re.findall(r"^\| `([\w.]+)/?` \|", section("Rooms"), re.MULTILINE))
    there = {p.name for p in PACKAGE.iterdir() if (p / "__init__.py").exists()} | {"definitions.py", "runtime.py"}
    assert listed == there


def test_every_import_contract_is_named() -> None:
    linter = tomllib.loads((pages.ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    named = set(re.findall(r"\*([A-Z][^*\n]+)\*", section("Rooms")))
    assert {contract["name"] for contract in linter["contracts"]} <= named


def test_both_walks_name_files_and_functions_that_are_there() -> None:
    for heading in ("From the export", "From a webhook"):
        rows = re.findall(r"^\| `([\w./]+\.py)` \| (.*) \|$", section(heading), re.MULTILINE)
        assert len(rows) >= 10, heading
        for path, told in rows:
            opening = told.split(":")[0] if ":" in told else ""
            functions = set(re.findall(r"`(\w+)`", opening))
            assert functions <= defined(path), path


def test_each_way_to_extend_lists_files() -> None:
    text = section("What to touch")
    for what in ("property rule", "audience rule", "action kind", "destination"):
        part = re.search(rf"\*\*{what}\*\*.*?(?=\n(?:A|An) \*\*|\Z)", text, re.DOTALL)
        assert part is not None, what
        assert len(re.findall(r"`[\w./-]+(?:\.\w+|/)`", part.group())) >= 3, what
