"""Whom a person who asks means: by e-mail, our id, Customer.io's, a record's of a CRM, or the address of its page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from cio_activation.delivery.destination import Destination, ReadsAddresses
from cio_activation.warehouse.addresses import email
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import exists
from cio_activation.warehouse.tables import (
    AUDIENCE_MEMBERSHIPS,
    DECISIONS,
    LEDGER,
    LINKS,
    PEOPLE_CURRENT,
    PERSONS,
)

_IN_CUSTOMERIO = re.compile(r"//[^/]*customer\.io/.*people/(?:cio_)?([^/?#]+)")
PLACES = (
    "identity.persons and raw.people_current (by cio_id, e-mail and external id), delivery.links (by the record's id "
    "and the e-mail it was looked up by), and the past in audience.memberships, audience.decisions and delivery.ledger"
)
"""Where :func:`find` looks, for whoever finds nobody."""


@dataclass(frozen=True)
class Found:
    """One profile, and by what of the question it was found."""

    cio_id: str
    by: tuple[str, ...]


def find(con: Connection, asked: str, destinations: Sequence[Destination]) -> list[Found]:
    """Return the people that ``asked`` can mean, who is known now before who only was."""
    return find_all(con, [asked], destinations)[0]


def find_all(con: Connection, asked: Sequence[str], destinations: Sequence[Destination]) -> list[list[Found]]:
    """Return the same for each of ``asked``; a thousand cost little more than one, each table is read once."""
    keys = [_Key.of(number, one, destinations) for number, one in enumerate(asked)]
    named = [key for key in keys if key.only is None]
    rows = _known(con, named)
    lacking = _without(named, rows)
    if exists(con, PEOPLE_CURRENT):
        rows += _landed(con, lacking)
    rows += _linked(con, keys)
    rows += _of_the_past(con, _without(named, rows))
    by: dict[int, list[tuple[str, str]]] = {key.number: [] for key in keys}
    for number, cio_id, how in rows:
        by[number].append((cio_id, how))
    return [_together(by[key.number]) for key in keys]


@dataclass(frozen=True)
class _Key:
    """What to look for."""

    number: int
    key: str
    only: str | None
    """The one destination whose record it is, if that is said."""

    @staticmethod
    def of(number: int, asked: str, destinations: Sequence[Destination]) -> _Key:
        return _Key(number, *_read(asked.strip(), destinations))


_Row = tuple[int, str, str]
"""Whose number, which ``cio_id``, and by what."""


def _without(keys: Sequence[_Key], rows: Sequence[_Row]) -> list[_Key]:
    there = {number for number, _, _ in rows}
    return [key for key in keys if key.number not in there]


def _read(asked: str, destinations: Sequence[Destination]) -> tuple[str, str | None]:
    """Return what to look for, and the one destination whose record that is, if it says so."""
    if found := _IN_CUSTOMERIO.search(asked):
        return found[1], None
    for destination in destinations:
        if isinstance(destination, ReadsAddresses) and (record := destination.record_of(asked)):
            return record, destination.name
        if asked.startswith(f"{destination.name}:"):
            return asked.removeprefix(f"{destination.name}:"), destination.name
    return asked.removeprefix("cio_"), None


def _known(con: Connection, keys: Sequence[_Key]) -> list[_Row]:
    return _asked(
        con,
        keys,
        f"""SELECT a.number, cio_id, 'cio_id' AS by FROM {PERSONS} JOIN asked AS a ON cio_id = a.key
        UNION ALL SELECT a.number, cio_id, 'e-mail' FROM {PERSONS} JOIN asked AS a ON email = a.address
        UNION ALL SELECT a.number, cio_id, 'external id' FROM {PERSONS}
            JOIN asked AS a ON lower(external_id) = lower(a.key)""",
    )


def _landed(con: Connection, keys: Sequence[_Key]) -> list[_Row]:
    return _asked(
        con,
        keys,
        f"""SELECT a.number, cio_id, 'cio_id' AS by FROM {PEOPLE_CURRENT} JOIN asked AS a ON cio_id = a.key
        UNION ALL SELECT a.number, cio_id, 'e-mail' FROM {PEOPLE_CURRENT}
            JOIN asked AS a ON lower(trim(email)) = a.address
        UNION ALL SELECT a.number, cio_id, 'external id' FROM {PEOPLE_CURRENT}
            JOIN asked AS a ON lower(trim(external_id)) = lower(a.key)""",
    )


def _linked(con: Connection, keys: Sequence[_Key]) -> list[_Row]:
    """Return whose record has the id, at any destination or the only one."""
    return _asked(
        con,
        keys,
        f"""SELECT DISTINCT a.number, cio_id, destination || ' record' AS by FROM {LINKS}
        JOIN asked AS a ON record_id = a.key AND (destination = a.place OR a.place IS NULL)""",
    )


def _of_the_past(con: Connection, keys: Sequence[_Key]) -> list[_Row]:
    """Return who was known once: by id, or by the address a record was looked up by."""
    return _asked(
        con,
        keys,
        f"""SELECT DISTINCT a.number, cio_id, 'e-mail once' AS by FROM {LINKS}
            JOIN asked AS a ON looked_up_email = a.address
        UNION SELECT a.number, cio_id, 'cio_id once' FROM {AUDIENCE_MEMBERSHIPS} JOIN asked AS a ON cio_id = a.key
        UNION SELECT a.number, cio_id, 'cio_id once' FROM {DECISIONS} JOIN asked AS a ON cio_id = a.key
        UNION SELECT a.number, cio_id, 'cio_id once' FROM {LEDGER} JOIN asked AS a ON cio_id = a.key""",
    )


def _asked(con: Connection, keys: Sequence[_Key], query: str) -> list[_Row]:
    if not keys:
        return []
    rows = con.execute(
        f"""WITH asked AS (SELECT unnest($numbers::BIGINT[]) AS number, unnest($keys::VARCHAR[]) AS key,
            unnest($addresses::VARCHAR[]) AS address, unnest($places::VARCHAR[]) AS place)
        {query}""",
        {
            "numbers": [key.number for key in keys],
            "keys": [key.key for key in keys],
            "addresses": [email(key.key) for key in keys],
            "places": [key.only for key in keys],
        },
    ).fetchall()
    return [(int(number), str(cio_id), str(by)) for number, cio_id, by in rows if cio_id is not None]


def _together(rows: Sequence[tuple[str, str]]) -> list[Found]:
    by: dict[str, list[str]] = {}
    for cio_id, how in rows:
        by.setdefault(cio_id, []).append(how)
    return [Found(cio_id, tuple(dict.fromkeys(hows))) for cio_id, hows in sorted(by.items())]
