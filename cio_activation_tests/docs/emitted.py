"""Every metadata key that assets and their checks show, read from the code of the assets."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import typing
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cio_activation

PACKAGE = Path(cio_activation.__file__).parent
ANY = "*"
"""Stands in a key for what is known in a run only."""


def metadata_keys() -> dict[str, set[str]]:
    """Return key -> modules that show it. A use case's result shows its fields; the rest is written as text."""
    found: dict[str, set[str]] = {}
    for path in [*sorted(PACKAGE.glob("*/assets.py")), PACKAGE / "lanes" / "metadata.py"]:
        name = ".".join(("cio_activation", *path.relative_to(PACKAGE).with_suffix("").parts))
        tree = ast.parse(path.read_text())
        keys = set(_written(tree))
        if path.name == "assets.py" and "metadata_of" in path.read_text():
            keys |= set(_of_results(tree))
        for key in keys:
            found.setdefault(key, set()).add(name)
    return found


def _written(tree: ast.AST) -> Iterator[str]:
    """Give the keys of dictionaries that become metadata, and the names ``counted`` is called with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "metadata":
            yield from _keys_below(node.value)
        elif isinstance(node, ast.AnnAssign | ast.Assign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Name) and t.id == "metadata" for t in targets):
                yield from _keys_below(node.value)
        elif isinstance(node, ast.FunctionDef) and node.returns and ast.unparse(node.returns) == "dict[str, Any]":
            yield from _keys_below(node)


def _keys_below(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Dict):
            yield from (text for key in inner.keys if key is not None and (text := _text(key)))
        elif isinstance(inner, ast.Call) and ast.unparse(inner.func) == "counted":
            for keyword in inner.keywords:
                if keyword.arg:
                    yield keyword.arg
                elif isinstance(keyword.value, ast.DictComp) and (text := _text(keyword.value.key)):
                    yield text
        elif isinstance(inner, ast.Assign):
            yield from (text for t in inner.targets if isinstance(t, ast.Subscript) and (text := _text(t.slice)))


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else ANY for v in node.values)
    return None


def _of_results(tree: ast.AST) -> Iterator[str]:
    """Give the fields of what the use cases return that a module of assets imports where it runs them."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    imports = {i for f in functions for i in ast.walk(f) if isinstance(i, ast.ImportFrom) and i.module}
    for imported in imports:
        module = importlib.import_module(str(imported.module))
        for alias in imported.names:
            yield from _fields(module, alias.name)


def _fields(module: ModuleType, name: str) -> Iterator[str]:
    used = getattr(module, name)
    if not callable(used) or isinstance(used, type):
        return
    for kind in _classes(typing.get_type_hints(used).get("return")):
        if dataclasses.is_dataclass(kind):
            yield from (field.name for field in dataclasses.fields(kind))


def _classes(hint: Any) -> Iterator[Any]:
    inner = typing.get_args(hint)
    if not inner:
        yield hint
    for one in inner:
        yield from _classes(one)
