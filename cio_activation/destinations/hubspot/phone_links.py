"""Contacts found by phone, where the activation says so and neither our key nor an e-mail leads to one.

HubSpot keeps a phone as somebody typed it. Search goes by the number that HubSpot calculates of it, area code and local
number without the country (its guide to CRM search, "Searching phone numbers"), so what search finds is only a
candidate: it is read by the same function as ours, and counts if all of it is the same. Search shows a contact some
seconds after it was made.

Nobody is guessed. A contact that has another person's e-mail or key, or that two people's numbers lead to, is nobody's;
and of several contacts with one number none is taken.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cio_activation.delivery.destination import Context
from cio_activation.destinations.common.kinds import LINK
from cio_activation.destinations.hubspot import api
from cio_activation.destinations.hubspot.config import NAME
from cio_activation.destinations.hubspot.contact_answers import PROPERTIES
from cio_activation.journal.operations import Operation
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.phone_numbers import national, phone
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

AT_ONCE = 50
"""Numbers of one search: its body may have 3,000 characters."""
SHARED = "several HubSpot contacts share this phone"
PHONES = ("phone", "mobilephone")


@dataclass(frozen=True)
class Found:
    """What search found, by operation id."""

    rows: Mapping[str, api.Row] = field(default_factory=dict)
    ambiguous: Mapping[str, list[str]] = field(default_factory=dict)
    """The ids of the contacts that have one number: none of them is taken."""


async def look_up(client: VendorClient, context: Context, batch: Sequence[Operation], taken: Collection[str]) -> Found:
    """Look those of ``batch`` up that have a phone. ``taken``: records found by a better key."""
    numbers = {o.operation_id: str(o.keys["phone"]) for o in batch if o.keys.get("phone")}
    contacts = await _contacts(client, context, set(numbers.values()))
    rows, ambiguous = {}, {}
    for operation_id, number in numbers.items():
        has_it = contacts[number]
        if len(has_it) > 1:
            ambiguous[operation_id] = sorted(has_it, key=int)
        elif has_it and has_it.keys().isdisjoint(taken):
            rows[operation_id] = next(iter(has_it.values()))
    return Found(rows, ambiguous)


async def _contacts(client: VendorClient, context: Context, numbers: Iterable[str]) -> dict[str, dict[str, api.Row]]:
    """Return number -> contacts that have it, by record id."""
    region = context.activation.workspace.default_region
    local = sorted({short for n in numbers if (short := national(n))})
    found: dict[str, dict[str, api.Row]] = defaultdict(dict)
    for start in range(0, len(local), AT_ONCE):
        for row in await api.contacts_with_phone(client, local[start : start + AT_ONCE], (*PROPERTIES, *PHONES)):
            values = row.get("properties") or {}
            for name in PHONES:
                if number := phone(values.get(name), region):
                    found[number][str(row["id"])] = row
    return found


def settle(con: Connection, context: Context, finished: str) -> None:
    """Take back what was found by phone and is somebody else's; list whose number several contacts have.

    A phone beats nobody: in the way are who has the contact, whose e-mail or key it carries, and who is led to it too.
    A contact that is somebody else's may have outlived the one that was theirs (``contact_claims.survivors``).
    """
    if not context.activation.match.phone:
        return
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE by_phone AS
        SELECT operation_id, cio_id, result_record_id AS record_id,
               json_extract_string(observed, '$.carried_for') AS stamp,
               from_json(coalesce(json_extract(observed, '$.addresses'), '[]'), '["VARCHAR"]') AS addresses
        FROM {finished}
        WHERE kind = {literal(LINK.name)} AND "end" = 'delivered'
          AND json_extract_string(observed, '$.matched_by') = 'phone' AND NOT json_exists(observed, '$.seen')"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE not_theirs AS
        SELECT b.operation_id FROM by_phone AS b
        JOIN delivery.links AS l
          ON l.destination = {literal(NAME)} AND l.record_id = b.record_id AND l.cio_id <> b.cio_id
        SEMI JOIN identity.persons AS p ON p.cio_id = l.cio_id
        UNION
        SELECT b.operation_id FROM by_phone AS b SEMI JOIN identity.persons AS p ON p.cio_id = b.stamp
        UNION
        SELECT b.operation_id FROM (SELECT operation_id, cio_id, unnest(addresses) AS address FROM by_phone) AS b
        JOIN identity.persons AS p ON md5(p.email) = b.address AND p.cio_id <> b.cio_id
        UNION
        SELECT b.operation_id FROM by_phone AS b
        JOIN {finished} AS f ON f.result_record_id = b.record_id AND f.cio_id <> b.cio_id
        WHERE f.kind = {literal(LINK.name)} AND f."end" = 'delivered'"""
    )
    con.execute(
        f"""UPDATE {finished} SET result_record_id = NULL, observed = CAST(json_merge_patch(observed, json_object(
            'stamped', 'false', 'matched_by', NULL, 'primary', NULL, 'addresses', NULL, 'merged', NULL,
            'carried_for', NULL, 'outlived', result_record_id)) AS VARCHAR)
        WHERE operation_id IN (SELECT operation_id FROM not_theirs)"""
    )
    _list_shared(con, context, finished)
    con.execute("DROP TABLE by_phone; DROP TABLE not_theirs")


def _list_shared(con: Connection, context: Context, finished: str) -> None:
    window = context.window
    if window is None:
        return
    where = [str(window.lane), window.key, SHARED]
    shared = f"SELECT * FROM {finished} WHERE kind = {literal(LINK.name)} AND json_exists(observed, '$.ambiguous')"
    con.execute(
        f"""DELETE FROM quarantine.rows WHERE layer = 'payload' AND lane = ? AND window_key = ? AND reason = ?
        AND cio_id IN (SELECT cio_id FROM ({shared}))""",
        where,
    )
    con.execute(
        f"""INSERT INTO quarantine.rows BY NAME
        SELECT 'payload' AS layer, ? AS lane, ? AS window_key, cio_id, 'phone' AS "column", ? AS reason,
               'none of them is used; merge them in HubSpot' AS detail,
               CAST(json_object('contacts', json_extract(observed, '$.ambiguous')) AS VARCHAR) AS row
        FROM ({shared})""",
        where,
    )
