"""Who can be found by which identifier: in memory, and kept in step with the world instead of read again."""

from __future__ import annotations

import duckdb

READ_AT_ONCE = 50_000
"""Rows; everybody's at once would be held twice."""


class Directory:
    """Identifiers of everyone, also of people who are created later than now."""

    def __init__(self) -> None:
        self.persons: dict[str, tuple[str, int]] = {}
        """``cio_id`` to the world's key and the time of creation."""
        self._owners: dict[str, dict[str, tuple[str, ...]]] = {"id": {}, "email": {}}

    @classmethod
    def read(cls, con: duckdb.DuckDBPyConnection) -> Directory:
        """Read everyone from the world's ``people``."""
        made = cls()
        con.execute("SELECT cio_id, person, created_at, external_id, email FROM people ORDER BY cio_id")
        while rows := con.fetchmany(READ_AT_ONCE):
            for cio_id, person, created_at, external_id, email in rows:
                made.persons[cio_id] = (person, created_at)
                # Rows come in order: appending keeps it.
                for kind, key in (("id", _key("id", external_id)), ("email", _key("email", email))):
                    if key:
                        made._owners[kind][key] = (*made._owners[kind].get(key, ()), cio_id)
        return made

    def add(self, cio_id: str, person: str, created_at: int) -> None:
        """Take a person in, as yet without ``id`` and ``email``."""
        self.persons[cio_id] = (person, created_at)

    def name(self, cio_id: str, kind: str, before: str | None, after: str | None) -> None:
        """Note that a person's ``id`` or ``email`` has changed."""
        owners = self._owners[kind]
        old, new = _key(kind, before), _key(kind, after)
        if old:
            left = tuple(c for c in owners.pop(old, ()) if c != cio_id)
            if left:
                owners[old] = left
        if new:
            owners[new] = tuple(sorted({*owners.get(new, ()), cio_id}))

    def remove(self, cio_id: str, external_id: str | None, email: str | None) -> None:
        """Forget a person who has these identifiers."""
        self.name(cio_id, "id", external_id, None)
        self.name(cio_id, "email", email, None)
        del self.persons[cio_id]

    def find(self, kind: str, value: str, at: int) -> list[str]:
        """Return the cio_ids with that identifier that exist at ``at``. Ids are case-sensitive, e-mails are not."""
        found: tuple[str, ...]
        if kind == "cio_id":
            found = (bare,) if (bare := value.removeprefix("cio_")) in self.persons else ()
        else:
            found = self._owners[kind].get(_key(kind, value), ())
        return [cio_id for cio_id in found if self.persons[cio_id][1] <= at]


def _key(kind: str, value: str | None) -> str:
    return (value.lower() if kind == "email" else value) if value else ""
