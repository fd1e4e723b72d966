"""Whom a person who asks means: by e-mail, our id, Customer.io's, a record's of a CRM, or the address of its page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
    key, only = _read(asked.strip(), destinations)
    now = [] if only else _known(con, key)
    now += _linked(con, key, only)
    return _together(now) or _together([] if only else _of_the_past(con, key))


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


def _known(con: Connection, key: str) -> list[tuple[str, str]]:
    address = email(key)
    found = _asked(
        con,
        f"""SELECT cio_id, 'cio_id' AS by FROM {PERSONS} WHERE cio_id = $key
        UNION ALL SELECT cio_id, 'e-mail' FROM {PERSONS} WHERE email = $address
        UNION ALL SELECT cio_id, 'external id' FROM {PERSONS} WHERE lower(external_id) = lower($key)""",
        key=key,
        address=address,
    )
    if found or not exists(con, PEOPLE_CURRENT):
        return found
    return _asked(
        con,
        f"""SELECT cio_id, 'cio_id' AS by FROM {PEOPLE_CURRENT} WHERE cio_id = $key
        UNION ALL SELECT cio_id, 'e-mail' FROM {PEOPLE_CURRENT} WHERE lower(trim(email)) = $address
        UNION ALL SELECT cio_id, 'external id' FROM {PEOPLE_CURRENT} WHERE lower(trim(external_id)) = lower($key)""",
        key=key,
        address=address,
    )


def _linked(con: Connection, key: str, only: str | None) -> list[tuple[str, str]]:
    """Return whose record has the id ``key``, at any destination or ``only`` at one."""
    return _asked(
        con,
        f"""SELECT DISTINCT cio_id, destination || ' record' AS by FROM {LINKS}
        WHERE record_id = $key AND (destination = $only OR CAST($only AS VARCHAR) IS NULL)""",
        key=key,
        only=only,
    )


def _of_the_past(con: Connection, key: str) -> list[tuple[str, str]]:
    """Return who was known once: by id, or by the address a record was looked up by."""
    return _asked(
        con,
        f"""SELECT DISTINCT cio_id, 'e-mail once' AS by FROM {LINKS} WHERE looked_up_email = $address
        UNION SELECT cio_id, 'cio_id once' FROM {AUDIENCE_MEMBERSHIPS} WHERE cio_id = $key
        UNION SELECT cio_id, 'cio_id once' FROM {DECISIONS} WHERE cio_id = $key
        UNION SELECT cio_id, 'cio_id once' FROM {LEDGER} WHERE cio_id = $key""",
        key=key,
        address=email(key),
    )


def _asked(con: Connection, query: str, **values: Any) -> list[tuple[str, str]]:
    used = {name: value for name, value in values.items() if f"${name}" in query}
    return [(str(cio_id), str(by)) for cio_id, by in con.execute(query, used).fetchall() if cio_id is not None]


def _together(rows: Sequence[tuple[str, str]]) -> list[Found]:
    by: dict[str, list[str]] = {}
    for cio_id, how in rows:
        by.setdefault(cio_id, []).append(how)
    return [Found(cio_id, tuple(dict.fromkeys(hows))) for cio_id, hows in sorted(by.items())]
