"""The glossary's words are carried by what is stored and shown, and no old word is used with its old meaning."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest
import sqlglot
from sqlglot import expressions as exp

import cio_activation
from cio_activation_tests.docs import old_home, pages
from cio_activation_tests.docs.emitted import metadata_keys
from cio_activation_tests.docs.old_words import OLD_WORDS, OldWord
from cio_activation_tests.golden import texts

PACKAGE = Path(cio_activation.__file__).parent
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in pages.text_of("glossary.md").splitlines()
    if line.startswith("| ") and not line.startswith("| word ")
]


def named(column: int) -> set[str]:
    """Return what stands in backquotes in one column of the glossary."""
    return {word for row in ROWS for word in re.findall(r"`([^`]+)`", row[column])}


def patterned(table: str) -> str:
    """Return a table's name as the pages write it: shadows by their pattern."""
    return re.sub(r"^delivery\.shadow_.*_(daily|realtime)$", "delivery.shadow_<destination>_<lane>", table)


TABLES = {patterned(table): columns for table, columns in old_home.columns().items()}


def test_a_word_stands_there_once() -> None:
    words = [row[0] for row in ROWS]
    assert len(words) > 40
    assert sorted(words) == sorted(set(words))
    assert all(len(row) == 4 and row[1] for row in ROWS)


def test_the_tables_and_columns_of_the_glossary_are_there() -> None:
    columns = {f"{table}.{column}" for table, found in TABLES.items() for column in found}
    assert named(2) <= TABLES.keys() | columns


def test_every_table_carries_a_word_of_the_glossary() -> None:
    assert TABLES.keys() - named(2) == set()


def test_every_metadata_key_carries_a_word_of_the_glossary_or_is_told_apart() -> None:
    """Keys of Dagster's own, and ``sql``, are no words of ours; ``kept`` is the name that ``retained`` had."""
    emitted = {key for key in metadata_keys() if not key.startswith("dagster/")} - {"sql", "kept"}
    assert {key for key in emitted if not any(fnmatchcase(word, key) for word in named(3))} == set()


def test_the_metadata_keys_of_the_glossary_are_shown() -> None:
    emitted = metadata_keys().keys() | {"retained"}
    assert {word for word in named(3) if not any(fnmatchcase(word, key) for key in emitted)} == set()


def parts(name: str) -> str:
    """Return a name in lower case between underscores: ``_left_over_`` for ``leftOver`` and ``LEFT_OVER``."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return f"_{re.sub(r'[^a-z0-9]+', '_', apart.lower()).strip('_')}_"


def names_in(tree: ast.AST) -> Iterator[str]:
    """Give every name that a module gives to something."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


@cache
def python_names() -> dict[str, set[str]]:
    """Return name -> modules (below the package) that give it."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        for name in {path.stem, *names_in(ast.parse(path.read_text()))}:
            found.setdefault(name, set()).add(module)
    return found


@cache
def sql_names() -> dict[str, set[str]]:
    """Return name -> where: of tables and columns that are stored, and of what the default SQL calls things."""
    found: dict[str, set[str]] = {}
    for table, columns in TABLES.items():
        for name in (table.rpartition(".")[2], *columns):
            found.setdefault(name, set()).add(f"sql:{table}")
    for path, text in texts.reviewed().items():
        for statement in sqlglot.parse(text, read="duckdb") if path.endswith(".sql") else ():
            assert statement is not None
            for alias in statement.find_all(exp.Alias, exp.TableAlias, exp.CTE):
                found.setdefault(str(alias.alias), set()).add(f"sql:{path}")
    return found


def uses(old: OldWord, names: dict[str, set[str]]) -> Iterable[str]:
    """Return where a name holds the old word, in a room it is looked for in, and is none of the reviewed ones."""
    for name, places in sorted(names.items()):
        if any(f"_{word}_" in parts(name) for word in old.words) and name not in old.allowed:
            yield from (f"{place}: {name}" for place in sorted(places) if old.concerns(place))


@pytest.mark.parametrize("old", OLD_WORDS, ids=lambda o: o.words[0])
def test_an_old_word_has_its_old_meaning_nowhere(old: OldWord) -> None:
    found = list(uses(old, python_names())) + list(uses(old, sql_names()))
    assert found == [], f"{old.words[0]!r} is called {old.now} here; another meaning goes into old_words.py, with why"


def test_every_reviewed_name_is_still_there() -> None:
    names = python_names().keys() | sql_names().keys()
    assert [f"{old.words[0]}: {name}" for old in OLD_WORDS for name in old.allowed if name not in names] == []


def test_a_name_with_an_old_word_would_be_found() -> None:
    standing = next(old for old in OLD_WORDS if "standing" in old.words)
    names = {"_standingSegments": {"customerio/live.py"}, "understanding": {"customerio/live.py"}}
    assert list(uses(standing, names)) == ["customerio/live.py: _standingSegments"]
