"""What Pipedrive holds of ours, read back by id: 100 persons and 15 fields a call of 10 tokens.

Who is not answered for is asked for alone (1 token): in the recycle bin it was deleted; else it was merged into another
person, or is gone for good, which Pipedrive answers alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.delivery.destination import Context
from cio_activation.delivery.outreach import OpenAction, SeenAction, Status
from cio_activation.delivery.read_back import Comparable, Presence, SeenRecord
from cio_activation.destinations.pipedrive.api import FIELDS_AT_ONCE, MAX_IDS, PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.hearing import Hearing
from cio_activation.destinations.pipedrive.mirror import codes_of
from cio_activation.destinations.pipedrive.mirrored import mark_deleted, merge
from cio_activation.destinations.pipedrive.notes import NOTE, NoteCalls
from cio_activation.destinations.pipedrive.schema_names import audience_labels
from cio_activation.destinations.pipedrive.values import logical_values, mirror_row
from cio_activation.destinations.pipedrive.wanted import properties_of
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal


class ReadingBack(Hearing):
    """Implements ``delivery.read_back.ReadsBack``."""

    read_at_once = MAX_IDS
    heals_memberships = True

    async def comparable(self, client: VendorClient, context: Context) -> Comparable:  # noqa: ARG002
        """Return our fields; how many hold an option Pipedrive does not say. Calls nobody."""
        names = [p.name for p in properties_of(context.activation)]
        there = [name for name in names if f"field:{name}" in context.catalog]
        left_out = {n: "Pipedrive has no such field; the schema step makes it" for n in names if n not in there}
        return Comparable(fields=there, sizes=dict.fromkeys(audience_labels(context.activation)), left_out=left_out)

    async def records(
        self, client: VendorClient, context: Context, people: Mapping[str, str], fields: Sequence[str]
    ) -> list[SeenRecord]:
        """Return what persons hold, by as many calls as fifteen fields each make."""
        api, there = PipedriveApi(client), await _read(client, context, list(people), fields)
        found = [_seen(context, person, fields) for person in there.values()]
        for person_id in people:
            if person_id not in there:
                binned = await api.in_recycle_bin(person_id)
                presence = Presence.DELETED if binned else Presence.MERGED
                found.append(SeenRecord(record_id=person_id, presence=presence))
        return found

    async def actions_back(
        self, client: VendorClient, context: Context, open: Sequence[OpenAction]
    ) -> list[SeenAction]:
        """Return what became of activities and deals, and which notes are gone: 2 tokens a note."""
        gone = []
        for action in open:
            if action.kind == NOTE.word and await NoteCalls(client).get(action.record_id) is None:
                gone.append(SeenAction(action.record_id, Status.DELETED))
        return gone + await self.actions(client, context, open)

    def acknowledged_members(self, context: Context) -> str:
        """Return who holds which of our options by the mirror, which is what was acknowledged."""
        options = ", ".join(
            f"({int(option)}, {literal(name)})"
            for name in audience_labels(context.activation)
            if (option := context.catalog.get(f"flag:{name}")) is not None
        )
        return f"""SELECT l.cio_id, l.record_id, o.audience, true AS certain
            FROM (SELECT person_id, unnest(from_json(audiences, '["BIGINT"]')) AS option_id
                  FROM delivery.pipedrive_persons WHERE NOT is_deleted AND audiences <> '[]') AS m
            JOIN (VALUES {options or "(NULL, NULL)"}) AS o(option_id, audience) ON o.option_id = m.option_id
            JOIN delivery.links AS l ON l.destination = {literal(NAME)} AND l.record_id = m.person_id"""

    def unsettled(self) -> str:
        """Return those whose person the next run parts them from."""
        return f"""SELECT l.cio_id FROM delivery.links AS l JOIN delivery.pipedrive_persons AS m
            ON m.person_id = l.record_id WHERE l.destination = {literal(NAME)} AND m.is_deleted"""

    def take_in(self, con: Connection, context: Context, repairs: str, seen: str) -> None:  # noqa: ARG002
        """Lay what was seen over the mirror: each run compares with that."""
        mark_deleted(con, f"SELECT record_id AS person_id FROM {repairs} WHERE subject = 'record'")
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE pd_read_back AS
            SELECT record_id AS person_id, CAST(NULL AS VARCHAR) AS name, CAST(NULL AS VARCHAR) AS emails,
                   CAST(NULL AS VARCHAR) AS primary_email, CAST(NULL AS VARCHAR) AS phones,
                   json_extract_string(shown, '$.external_id') AS external_id,
                   CAST(json_extract(shown, '$.audiences') AS VARCHAR) AS audiences,
                   CAST(json_extract(shown, '$.fields') AS VARCHAR) AS fields,
                   CAST(json_extract_string(shown, '$.update_time') AS TIMESTAMP) AS update_time,
                   false AS is_deleted, read_at AS mirrored_at
            FROM {seen} WHERE record_id IN (SELECT record_id FROM {repairs} WHERE subject IN ('key', 'list'))"""
        )
        merge(con, "pd_read_back")
        con.execute("DROP TABLE pd_read_back")


async def _read(
    client: VendorClient, context: Context, record_ids: Sequence[str], fields: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return person id -> person with all our fields, of those that are there."""
    codes = list(dict.fromkeys([*codes_of(context), *(str(context.catalog[f"field:{name}"]) for name in fields)]))
    there: dict[str, dict[str, Any]] = {}
    for start in range(0, len(codes), FIELDS_AT_ONCE):
        for person in await PipedriveApi(client).persons_by_ids(record_ids, codes[start : start + FIELDS_AT_ONCE]):
            known = there.setdefault(str(person["id"]), {**person, "custom_fields": {}})
            known["custom_fields"] |= person.get("custom_fields") or {}
    return there


def _seen(context: Context, person: Mapping[str, Any], fields: Sequence[str]) -> SeenRecord:
    activation, catalog = context.activation, context.catalog
    shown = mirror_row(person, activation, catalog)
    options = {int(o): k.removeprefix("flag:") for k, o in catalog.items() if k.startswith("flag:")}
    return SeenRecord(
        record_id=str(person["id"]),
        presence=Presence.THERE,
        key=shown["external_id"],
        values=logical_values(person, fields, activation, catalog),
        audiences=sorted({options[i] for i in shown["audiences"] if i in options}),
        shown={name: shown[name] for name in ("external_id", "update_time", "fields")}
        | {"audiences": sorted(shown["audiences"])},
    )
