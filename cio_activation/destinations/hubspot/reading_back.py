"""What HubSpot holds of ours, read back by id: contacts, their lists and tasks 100 a call, never by search."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from cio_activation.delivery.destination import Context
from cio_activation.delivery.read_back import Comparable, Presence, SeenRecord
from cio_activation.delivery.shadows import shadows
from cio_activation.destinations.hubspot import api, list_api
from cio_activation.destinations.hubspot.config import NAME, listed_audiences
from cio_activation.destinations.hubspot.contact_answers import MERGED, merged_ids
from cio_activation.destinations.hubspot.property_definitions import delivered
from cio_activation.destinations.hubspot.values import stamp_of
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

HISTORIES = 50
"""Contacts of one reading with histories: half a batch, for HubSpot says of its lists that histories lower the most."""


async def comparable(client: VendorClient, context: Context) -> Comparable:
    """Return the properties that HubSpot does not calculate, and how many are on each list: one call a list."""
    there, left_out = await api.properties(client), {}
    fields = []
    for name, prop in delivered(context.activation).items():
        definition = there.get(name)
        if definition is None:
            left_out[prop.name] = "HubSpot has no such property; the schema step makes it"
        elif definition.get("calculated") or (definition.get("modificationMetadata") or {}).get("readOnlyValue"):
            left_out[prop.name] = "HubSpot calculates it"
        else:
            fields.append(prop.name)
    sizes: dict[str, int | None] = {}
    for audience in listed_audiences(context.activation):
        list_id = context.catalog.get(f"list:{audience.name}")
        row = None if list_id is None else await list_api.list_by_id(client, str(list_id))
        if row is None:
            left_out[audience.name] = "HubSpot has no such list; the schema step makes it"
        else:
            sizes[audience.name] = list_api.list_size(row)
    return Comparable(fields=fields, sizes=sizes, left_out=left_out)


async def records(
    client: VendorClient, context: Context, people: Mapping[str, str], fields: Sequence[str]
) -> list[SeenRecord]:
    """Return what contacts hold: two calls, and two more where some are not there.

    An id that was merged away is answered with the row of what outlived it, or as one that never was. In both cases it
    is in the other's ``hs_merged_object_ids``, and that one carries our key, unless a human made it lose it.
    """
    prefix = context.activation.workspace.prefix
    reply = await api.read_contacts(client, list(people), [api.KEY, MERGED, *(f"{prefix}{name}" for name in fields)])
    rows = {i: row for row in reply.results if (i := str(row.get("id"))) in people}
    merged = {i for row in reply.results for i in merged_ids(row)} - rows.keys()
    lost = [i for i in people if i not in rows and i not in merged]
    binned = await api.in_recycle_bin(client, lost) if lost else frozenset()
    if sought := [people[i] for i in lost if i not in binned]:
        survivors = await api.read_contacts(client, sought, [api.KEY, MERGED], by=api.KEY)
        merged |= {i for row in survivors.results for i in merged_ids(row)} & set(lost)
    lists, _ = await list_api.lists_of(client, list(rows)) if rows else ({}, frozenset())
    named = {str(i): key.removeprefix("list:") for key, i in context.catalog.items() if key.startswith("list:")}
    found = [
        SeenRecord(
            record_id=record_id,
            presence=Presence.THERE,
            key=stamp_of(rows[record_id]),
            values={name: _value(rows[record_id], f"{prefix}{name}") for name in fields},
            # Of whom the answer about lists says nothing, nothing is known of these.
            audiences=sorted(named[i] for i in lists[record_id] if i in named) if record_id in lists else None,
        )
        for record_id in rows
    ]
    found += [SeenRecord(record_id=i, presence=Presence.MERGED) for i in people if i in merged]
    gone = [i for i in lost if i not in merged and (i in binned or i in reply.missing)]
    return found + [SeenRecord(record_id=i, presence=Presence.DELETED) for i in gone]


async def ever_filled(
    client: VendorClient, context: Context, asked: Mapping[str, Sequence[str]]
) -> set[tuple[str, str]]:
    """Return which properties have a history of values."""
    prefix, ids, filled = context.activation.workspace.prefix, list(asked), set()
    for start in range(0, len(ids), HISTORIES):
        batch = ids[start : start + HISTORIES]
        names = sorted({name for i in batch for name in asked[i]})
        for row in (await api.read_histories(client, batch, [f"{prefix}{name}" for name in names])).results:
            histories = row.get("propertiesWithHistory") or {}
            filled |= {(str(row.get("id")), name) for name in names if histories.get(f"{prefix}{name}")}
    return filled


async def members_of(client: VendorClient, context: Context, audience: str) -> AsyncIterator[Sequence[str]]:
    """Yield the members of an audience's list, 250 a call."""
    list_id = context.catalog.get(f"list:{audience}")
    after: str | None = None
    while list_id is not None:
        page, after = await list_api.members_page(client, str(list_id), after)
        yield page
        if after is None:
            return


def acknowledged_members() -> str:
    """Return the SELECT of who was acknowledged to be on which list."""
    return f"""SELECT cio_id, record_id, audience, acked_at IS NOT NULL AS certain FROM delivery.members
        WHERE destination = {literal(NAME)}"""


def unsettled() -> str:
    """Return the SELECT of those whose contact the next run looks at by its id."""
    return f"SELECT cio_id FROM delivery.links WHERE destination = {literal(NAME)} AND recheck"


def take_in(con: Connection, repairs: str) -> None:
    """Have contacts that are gone looked for, list places asked for again, and our key written anew."""
    mine = f"l.destination = {literal(NAME)} AND l.cio_id = r.cio_id AND l.record_id = r.record_id"
    con.execute(
        f"UPDATE delivery.links AS l SET recheck = true FROM {repairs} AS r WHERE r.subject = 'record' AND {mine}"
    )
    con.execute(
        f"UPDATE delivery.links AS l SET stamped = false FROM {repairs} AS r WHERE r.subject = 'key' AND {mine}"
    )
    for shadow in shadows(con, NAME):
        # The key goes along with a write of fields: one that is written anew is enough.
        column = next(
            (str(row[0]) for row in con.execute(f"DESCRIBE {shadow}").fetchall() if row[0].startswith("p_")), ""
        )
        if column:
            con.execute(
                f"""UPDATE {shadow} AS s SET whole_hash = NULL, in_doubt = concat(s.in_doubt, ?)
                FROM {repairs} AS r WHERE r.subject = 'key' AND s.cio_id = r.cio_id AND s.record_id = r.record_id""",
                [f"|{column.removeprefix('p_')}|"],
            )
    same = f"""m.destination = {literal(NAME)} AND m.audience = r.name AND m.cio_id = r.cio_id
        AND m.record_id = r.record_id"""
    con.execute(
        f"UPDATE delivery.members AS m SET acked_at = NULL FROM {repairs} AS r WHERE r.subject = 'list' AND {same}"
    )
    con.execute(
        f"""INSERT INTO delivery.members
        SELECT {literal(NAME)}, r.name, r.cio_id, r.record_id, NULL FROM {repairs} AS r
        WHERE r.subject = 'list' AND r.kind = 'foreign'
          AND NOT EXISTS (SELECT 1 FROM delivery.members AS m WHERE {same})"""
    )


def _value(row: api.Row, name: str) -> str:
    return str((row.get("properties") or {}).get(name) or "")
