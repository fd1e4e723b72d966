"""Which moments count by what their bodies say: ``where: "amount > 100 AND order.reason = 'size'"``.

An expression like a gate's, over fields of the event's JSON body. Names stand as they are written there, capitals and
all; dots lead into objects. A body has no declared types, so a field is read as what it is compared with, and what
cannot be read so is missing, like a field that is not there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlglot import exp

from cio_activation.activation.expressions import syntax_tree
from cio_activation.activation.grammar import Reader
from cio_activation.activation.models import AttributeType
from cio_activation.activation.terms import Kind
from cio_activation.errors import ConfigError

_PART = re.compile(r"[\w \-]+")
_ORDERED = (exp.LT, exp.LTE, exp.GT, exp.GTE)
_COMPARED = (exp.EQ, exp.NEQ, *_ORDERED)
_TEXTS = (exp.Like, exp.ILike, exp.Lower, exp.Upper, exp.Length)
_NUMBERS = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg, exp.Abs, exp.Round)
_EXAMPLE = "write for example: amount > 100 AND reason = 'size'"


@dataclass(frozen=True)
class Field:
    """One field of a moment's body: its dotted path, which is its column's name too, and what it is read as."""

    path: str
    type: AttributeType

    @property
    def steps(self) -> tuple[str, ...]:
        """The keys from the body down to it."""
        return tuple(self.path.split("."))


@dataclass(frozen=True)
class Where:
    """A checked ``where``: its SQL stands in a query that has a column for each of ``fields``, called by its path."""

    text: str
    sql: str
    fields: tuple[Field, ...]


@lru_cache(maxsize=64)
def parse_where(text: str) -> Where:
    """Return ``text`` as a checked expression over fields of a body; ConfigError lists all it breaks."""
    text = text.strip()
    try:
        tree, types = _typed(syntax_tree(text))
        reader = Reader(types, {}, frozenset())
        term = reader.value(tree)
    except RecursionError as error:
        raise ConfigError("the expression is nested too deeply; split it up") from error
    problems = list(reader.problems)
    if not problems and term.kind not in {Kind.BOOLEAN, Kind.ANY}:
        problems.append(f"the expression gives a {term.kind}, not true or false; {_EXAMPLE}")
    if not problems and not types:
        problems.append(f"the expression reads no field of the body; leave it out, or {_EXAMPLE}")
    if problems:
        raise ConfigError(*dict.fromkeys(problems))
    return Where(text, term.sql, tuple(Field(path, kind) for path, kind in sorted(types.items())))


def _typed(tree: exp.Expr) -> tuple[exp.Expr, Mapping[str, AttributeType]]:
    """Return the tree with one name for each field, and what each is read as."""
    seen: dict[str, set[AttributeType]] = defaultdict(set)
    columns = [node for node in tree.walk() if isinstance(node, exp.Column)]
    for column in columns:
        path = _path(column)
        seen[path].update(_read_as(column))
        named = exp.column(exp.to_identifier(path, quoted=True))
        if column is tree:
            tree = named
        else:
            column.replace(named)
    if problems := list(_problems(seen)):
        raise ConfigError(*problems)
    return tree, {path: next(iter(types), AttributeType.TEXT) for path, types in seen.items()}


def _path(column: exp.Column) -> str:
    parts = [part.name for part in column.parts]
    for part in parts:
        if not _PART.fullmatch(part):
            raise ConfigError(f"{part!r} is no field of a body; use letters, digits, '_', '-' and spaces")
    return ".".join(parts)


def _problems(seen: Mapping[str, set[AttributeType]]) -> Iterator[str]:
    spelled: dict[str, str] = {}
    for path, types in seen.items():
        if len(types) > 1:
            kinds = " and as a ".join(sorted(types))
            yield f"{path} is read as a {kinds}; a field of a body is what it is compared with, compare it in one way"
        other = spelled.setdefault(path.casefold(), path)
        if other != path:
            yield f"{path} and {other} differ by capitals only; write the field as the event has it"


def _read_as(column: exp.Expr) -> set[AttributeType]:
    """Return what the place of ``column`` says it is; nothing if it says nothing (IS NULL)."""
    node, parent = column, column.parent
    while isinstance(parent, exp.Paren):
        node, parent = parent, parent.parent
    if parent is None or isinstance(parent, (exp.And, exp.Or, exp.Not)):
        return {AttributeType.BOOLEAN}
    if isinstance(parent, _TEXTS):
        return {AttributeType.TEXT}
    if isinstance(parent, _NUMBERS):
        return {AttributeType.NUMBER}
    if isinstance(parent, exp.Coalesce) and parent.this is node:
        beside = [_constant(other) for other in parent.expressions]
        return {found for found in beside if found is not None} or _read_as(parent)
    if isinstance(parent, exp.Is):
        return {AttributeType.BOOLEAN} if isinstance(parent.expression, exp.Boolean) else set()
    if isinstance(parent, (*_COMPARED, exp.Between, exp.In)):
        others = [other for other in parent.iter_expressions() if other is not node]
        found = {kind for other in others if (kind := _constant(other)) is not None}
        return found or ({AttributeType.NUMBER} if isinstance(parent, _ORDERED) else set())
    return set()


def _constant(node: exp.Expr) -> AttributeType | None:
    """Return what a constant or a function of it is; None for a field."""
    node = node.unnest()
    if isinstance(node, exp.Literal):
        return AttributeType.TEXT if node.is_string else AttributeType.NUMBER
    if isinstance(node, exp.Boolean):
        return AttributeType.BOOLEAN
    if isinstance(node, (*_NUMBERS, exp.Length)):
        return AttributeType.NUMBER
    return AttributeType.TEXT if isinstance(node, (exp.Lower, exp.Upper)) else None
