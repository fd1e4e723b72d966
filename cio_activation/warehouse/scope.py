"""Whom a step looks at: everyone, or those only whom the change log names.

Deciding and planning compare relations of people. Where it is certain that only a few can have come out different, the
same statements run over the rows of these few, gathered once before: a plan asks for some tables three times, and each
look would be at all rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import filled, identifier, scalar

_PEOPLE = "scope_people"


@dataclass(frozen=True)
class Scope:
    """The people of one look. ``people`` is a temporary relation of ``cio_id``, each once; None: everyone."""

    people: str | None = None
    number: int | None = None
    """How many they are, where that is known."""

    @property
    def is_everyone(self) -> bool:
        """Whether nobody is left out."""
        return self.people is None

    def rows(self, table: str) -> str:
        """Return a relation: the rows of ``table`` (with ``cio_id``) of the people in scope, and ``@place``.

        Of a table that was not gathered before there is none: see :func:`gather`.
        """
        if self.people is None:
            return f'(SELECT *, rowid AS "@place" FROM {table})'
        return _gathered(self.people, table)

    def condition(self) -> str:
        """Return the end of a WHERE that leaves the rows of the people in scope; empty for everyone."""
        return "" if self.people is None else f" AND cio_id IN (SELECT cio_id FROM {self.people})"

    def size(self, con: Connection) -> int | None:
        """Return how many people are in scope; None for everyone."""
        if self.people is None or self.number is not None:
            return self.number
        return int(str(scalar(con, f"SELECT count(*) FROM {self.people}")))


EVERYONE = Scope()


def narrowed_to(con: Connection, people: str) -> Scope:
    """Return the scope of ``people``, a SELECT of ``cio_id``; it lasts until the next one of this session."""
    return Scope(_PEOPLE, filled(con, _PEOPLE, f"SELECT DISTINCT cio_id FROM ({people})"))


def gather(con: Connection, scope: Scope, tables: Iterable[str]) -> None:
    """Gather the rows of the people in scope from each of ``tables``, for :meth:`Scope.rows`."""
    if scope.people is None:
        return
    for table in dict.fromkeys(tables):
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE {_gathered(scope.people, table)} AS
            SELECT *, rowid AS "@place" FROM {table} SEMI JOIN {scope.people} USING (cio_id)"""
        )


def _gathered(people: str, table: str) -> str:
    return identifier(f"{people} of {table}")
