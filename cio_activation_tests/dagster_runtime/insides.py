"""What this project uses of Dagster's private modules, read from the code: names, and members of what they name.

A member counts if a class of ours overrides it, or reads it from itself, from its class or from ``super()``, where a
base is private; or if it is read from a parameter, variable or attribute that is known to be of a private class.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, get_origin

import cio_activation

PACKAGE = Path(cio_activation.__file__).parent
ROOM = PACKAGE / "dagster_runtime"
ABSENT = "no such member"
_MODULE = re.compile(r"dagster(\.\w+)*\._\w+(\.\w+)*")


def private_modules(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield (line, module) wherever a file names a private module of Dagster: imports, texts, attributes."""
    for node in ast.walk(tree):
        told: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            told = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            told = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            told = [node.value]
        elif (
            isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("dagster", "dg")
        ):
            told = [f"dagster.{node.attr}"]
        yield from ((node.lineno, name) for name in told if _MODULE.fullmatch(name))


def used(folder: Path = ROOM) -> set[str]:
    """Return what the room uses: ``module``, ``module:name`` and ``module:name.member``."""
    found: set[str] = set()
    for file in sorted(folder.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {
            alias.asname or alias.name: f"{node.module}:{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster._")
            for alias in node.names
        }
        found |= set(names.values())
        found |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and _is_module(node.value)}
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found |= _of_class(node, names)
            elif isinstance(node, ast.FunctionDef):
                found |= _of_function(node, names)
    return found


def signature(what: str) -> str:
    """Return how something looks in the Dagster that is installed; a text that says so if it is not there."""
    module, _, path = what.partition(":")
    name, _, member = path.partition(".")
    try:
        holder = importlib.import_module(module)
    except ImportError:
        return "no such module"
    if not name:
        return "module"
    if not hasattr(holder, name):
        return "no such name"
    return _member(getattr(holder, name), member) if member else _shown(getattr(holder, name))


def _is_module(value: object) -> bool:
    return isinstance(value, str) and _MODULE.fullmatch(value) is not None


def _of_class(node: ast.ClassDef, names: dict[str, str]) -> set[str]:
    bases = [names[n.id] for base in node.bases for n in ast.walk(base) if isinstance(n, ast.Name) and n.id in names]
    held = _held(node, names)
    members = {n.name for n in node.body if isinstance(n, ast.FunctionDef) and n.name != "__init__"}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and _is_self(inner.value) and inner.attr != "__init__":
            members.add(inner.attr)
    found = {f"{base}.{member}" for base in bases for member in members if _member(_named(base), member) != ABSENT}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Attribute) and _is_self(inner.value.value):
            found |= {f"{held[inner.value.attr]}.{inner.attr}"} if inner.value.attr in held else set()
    return found


def _held(node: ast.ClassDef, names: dict[str, str]) -> dict[str, str]:
    """Return the attributes of ``self`` that are made by calling a private class."""
    return {
        target.attr: names[n.value.func.id]
        for n in ast.walk(node)
        if isinstance(n, ast.Assign)
        and isinstance(n.value, ast.Call)
        and isinstance(n.value.func, ast.Name)
        and n.value.func.id in names
        for target in n.targets
        if isinstance(target, ast.Attribute)
    }


def _of_function(node: ast.FunctionDef, names: dict[str, str]) -> set[str]:
    known = dict(names)
    for argument in node.args.args:
        if isinstance(argument.annotation, ast.Name) and argument.annotation.id in names:
            known[argument.arg] = names[argument.annotation.id]
    return {
        f"{known[inner.value.id]}.{inner.attr}"
        for inner in ast.walk(node)
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name) and inner.value.id in known
    }


def _is_self(node: ast.expr) -> bool:
    """Tell whether an expression is ``self``, ``cls`` or ``super(...)``."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id == "super"
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _named(what: str) -> Any:
    module, _, name = what.partition(":")
    return getattr(importlib.import_module(module), name)


def _member(owner: Any, member: str) -> str:
    """Return how a member looks; of one that instances only have, that a class of Dagster's own sets or reads it."""
    for kind in inspect.getmro(owner) if inspect.isclass(owner) else ():
        if member in vars(kind) and kind.__module__.startswith("dagster"):
            return _shown(inspect.getattr_static(owner, member))
    if not inspect.isclass(owner):
        return _shown(getattr(owner, member)) if hasattr(owner, member) else ABSENT
    sources = [inspect.getsource(kind) for kind in inspect.getmro(owner) if kind.__module__.startswith("dagster.")]
    return "attribute" if any(re.search(rf"\bself\.{member}\b", source) for source in sources) else ABSENT


def _shown(value: Any) -> str:
    """Return a signature without the modules of its types, and without defaults that differ from process to process."""
    if isinstance(value, property) or type(value).__name__ == "_tuplegetter":
        return "property"
    kind = next((k.__name__ for k in (classmethod, staticmethod) if isinstance(value, k)), "")
    value = getattr(value, "__func__", value) if kind else value
    if inspect.isclass(value) and issubclass(value, Enum):
        return f"enum of {', '.join(value.__members__)}"
    if not callable(value) or get_origin(value) is not None:
        return _bare(str(value))
    found = inspect.signature(value)
    parameters = [
        p if p.default is p.empty or isinstance(p.default, (str, int, NoneType)) else p.replace(default=_Any())
        for p in found.parameters.values()
    ]
    return f"{kind} {_bare(str(found.replace(parameters=parameters)))}".strip()


class _Any:
    """Stands in a signature for a default that is an object."""

    def __repr__(self) -> str:
        return "..."


def _bare(text: str) -> str:
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", text).replace("'", "")
