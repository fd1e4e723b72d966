"""Phones to E.164, each distinct spelling parsed once ever: ``identity.phone_map`` remembers.

``phonenumbers`` reads some 32,000 numbers a second, so numbers already in E.164 pass by pattern and only new
spellings of the rest are parsed, while the warehouse is closed.
"""

from __future__ import annotations

from collections.abc import Iterable

from cio_activation.identity.normalize import is_e164, trimmed
from cio_activation.warehouse.phone_numbers import phone
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal
from cio_activation.warehouse.tables import PHONE_MAP


def unknown_phones(con: Connection, people: str, region: str) -> list[str]:
    """Return the distinct phones of ``people`` (a relation) that are neither E.164 nor in the map yet."""
    number = trimmed("phone")
    known = f"SELECT raw FROM {PHONE_MAP} WHERE region = {literal(region)}"
    rows = con.execute(
        f"SELECT DISTINCT phone FROM (SELECT {number} AS phone FROM {people} WHERE phone IS NOT NULL) "
        f"WHERE phone IS NOT NULL AND NOT {is_e164('phone')} AND phone NOT IN ({known})"
    ).fetchall()
    return [str(raw) for (raw,) in rows]


def parse(raw: Iterable[str], region: str) -> list[tuple[str, str | None]]:
    """Return (raw, E.164) for every spelling; None where it is no valid number of ``region`` or of the world."""
    return [(text, phone(text, region)) for text in raw]


def remember(con: Connection, parsed: list[tuple[str, str | None]], region: str) -> None:
    """Add parsed spellings to the map; one already there (parsed by a run beside us) stays."""
    import phonenumbers

    if not parsed:
        return
    con.execute(
        f"INSERT INTO {PHONE_MAP} SELECT n.raw, n.e164, n.e164 IS NOT NULL, ?, ? "
        "FROM (SELECT unnest(?::VARCHAR[]) AS raw, unnest(?::VARCHAR[]) AS e164) AS n "
        f"WHERE n.raw NOT IN (SELECT raw FROM {PHONE_MAP} WHERE region = ?)",
        [phonenumbers.__version__, region, [r for r, _ in parsed], [e for _, e in parsed], region],
    )
