"""Who is meant by what somebody calls them, and what else they are called here."""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.errors import ConfigError
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import exists
from cio_activation.warehouse.tables import PEOPLE_CURRENT, PERSONS

_LINKS = "delivery.links"
_PLACES = (
    f"SELECT cio_id FROM {PERSONS} WHERE cio_id = $1 OR external_id = $1 OR lower(email) = lower($1)",
    "SELECT cio_id FROM {people} WHERE cio_id = $1 OR external_id = $1 OR lower(email) = lower($1)",
    f"SELECT cio_id FROM {_LINKS} WHERE record_id = $1 OR cio_id = $1",
    "SELECT cio_id FROM delivery.ledger WHERE cio_id = $1",
    "SELECT cio_id FROM audience.memberships WHERE cio_id = $1",
)


def found(con: Connection, given: str) -> str:
    """Return the ``cio_id`` of whom ``given`` means: an id of Customer.io, an e-mail address, the id of a CRM's record.

    Raises ConfigError for nobody, and for several.
    """
    people = PEOPLE_CURRENT if exists(con, PEOPLE_CURRENT) else None
    selects = [place.format(people=people) for place in _PLACES if people or "{people}" not in place]
    rows = con.execute(f"SELECT DISTINCT cio_id FROM ({' UNION ALL '.join(selects)})", [given]).fetchall()
    if len(rows) == 1:
        return str(rows[0][0])
    if rows:
        told = ", ".join(sorted(str(cio_id) for (cio_id,) in rows))
        raise ConfigError(f"{given} is said of {len(rows)} people: {told}; give the cio_id of one of them")
    raise ConfigError(
        f"{given} is nobody's cio_id, id, e-mail address or record here; nor is whoever was forgotten already"
    )


def identifiers(con: Connection, people: Sequence[str]) -> dict[str, list[str]]:
    """Return each ``cio_id`` of ``people`` -> whatever names the person in files: ids, addresses, phone numbers."""
    sources = [f"SELECT cio_id, external_id, email, phone FROM {PERSONS}"]
    if exists(con, PEOPLE_CURRENT):
        sources.append(f"SELECT cio_id, external_id, email, phone FROM {PEOPLE_CURRENT}")
    sources.append(f"SELECT cio_id, NULL, looked_up_email, NULL FROM {_LINKS}")
    rows = con.execute(
        f"""SELECT DISTINCT cio_id, unnest([external_id, email, phone]) AS value
        FROM ({" UNION ALL ".join(sources)}) WHERE cio_id IN (SELECT unnest(?::VARCHAR[]))""",
        [list(people)],
    ).fetchall()
    named: dict[str, set[str]] = {cio_id: {cio_id} for cio_id in people}
    for cio_id, value in rows:
        if value:
            named[str(cio_id)].add(str(value))
    return {cio_id: sorted(values) for cio_id, values in named.items()}


def records(con: Connection, people: Sequence[str]) -> dict[str, list[str]]:
    """Return each ``cio_id`` of ``people`` -> its records, each as ``<destination>/<record id>``."""
    rows = con.execute(
        f"""SELECT cio_id, list(DISTINCT concat(destination, '/', record_id)) FROM {_LINKS}
        WHERE record_id IS NOT NULL AND cio_id IN (SELECT unnest(?::VARCHAR[])) GROUP BY cio_id""",
        [list(people)],
    ).fetchall()
    return {cio_id: [] for cio_id in people} | {str(cio_id): list(there) for cio_id, there in rows}
