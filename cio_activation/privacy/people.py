"""Who is meant by what somebody calls them, and what else they are called here."""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.delivery.destination import Destination
from cio_activation.errors import ConfigError
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import exists
from cio_activation.warehouse.tables import PEOPLE_CURRENT, PERSONS
from cio_activation.why.people import PLACES, Found, find_all

_LINKS = "delivery.links"


def found(con: Connection, given: Sequence[str], destinations: Sequence[Destination]) -> list[str]:
    """Return the ``cio_id`` of whom each of ``given`` means, by whatever ``cio-activation why`` takes too.

    Raises ConfigError for nobody, and for several; the error does not repeat what was given, which may be an address,
    but says which of many it is.
    """
    each = enumerate(find_all(con, given, destinations), start=1)
    return [_meant(people, f"person {number} of the file: " if len(given) > 1 else "") for number, people in each]


def _meant(people: Sequence[Found], place: str) -> str:
    if len(people) == 1:
        return people[0].cio_id
    if people:
        told = ", ".join(f"{one.cio_id} ({', '.join(one.by)})" for one in people)
        raise ConfigError(f"{place}that is said of {len(people)} people: {told}; give the cio_id of one of them")
    raise ConfigError(
        f"{place}nobody is known by that; looked in {PLACES}. Whoever was forgotten already is not known any more"
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


def also_of_others(con: Connection, names: Sequence[str], people: Sequence[str]) -> set[str]:
    """Return those of ``names`` (in small letters) that somebody who is not of ``people`` has, too.

    Such an address names the other one as well, whose rows and lines stay.
    """
    sources = [f"SELECT cio_id, external_id, email, phone FROM {PERSONS}"]
    if exists(con, PEOPLE_CURRENT):
        sources.append(f"SELECT cio_id, external_id, email, phone FROM {PEOPLE_CURRENT}")
    rows = con.execute(
        f"""SELECT DISTINCT lower(trim(value)) FROM (
            SELECT cio_id, unnest([external_id, email, phone]) AS value FROM ({" UNION ALL ".join(sources)}))
        WHERE lower(trim(value)) IN (SELECT lower(trim(unnest($names::VARCHAR[]))))
            AND cio_id NOT IN (SELECT unnest($people::VARCHAR[]))""",
        {"names": list(names), "people": list(people)},
    ).fetchall()
    return {str(value) for (value,) in rows}
