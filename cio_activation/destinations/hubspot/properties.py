"""The step ``properties_<lane>``: property values of contacts, creations of those who have none, our key on all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import AbsoluteStep, Context, End, Operation, Result, Rows
from cio_activation.delivery.fields import DIFFERING, Keep, changes, clears, ensure_shadow, fold_values, rows_of
from cio_activation.delivery.links import fold_links
from cio_activation.destinations.hubspot import api, writes
from cio_activation.destinations.hubspot.config import CreatePeople, listed_audiences, settings_of
from cio_activation.destinations.hubspot.contact_links import email_target, stamp_of
from cio_activation.destinations.hubspot.people import NAME, forget_gone, lane_needs, members, population
from cio_activation.destinations.hubspot.values import value_sql
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal

_PERSON = """CAST(to_json({cio_id: s.cio_id, email: p.email, first_name: p.first_name,
                              last_name: p.last_name, phone: p.phone}) AS VARCHAR)"""
_KEYS = """CASE WHEN d.record_id IS NULL THEN d."@keys" ELSE '{}' END"""


class PropertiesStep(AbsoluteStep):
    """Writes what changed since HubSpot last acknowledged it; one call per 100 people."""

    narrows = True

    def __init__(self, activation: Activation, lane: Lane) -> None:
        self.name = f"properties_{lane.value}"
        self.lane: Lane | None = lane
        self.description = f"The {lane.value} lane's properties of HubSpot contacts."
        self.after: tuple[str, ...] = (f"contact_links_{lane.value}",)
        self.needs: tuple[str, ...] = _needs(activation, lane)
        self.batch_size = api.MAX_BATCH
        self.concurrency = api.CONCURRENCY
        self._lane = lane
        self._columns = [p.name for p in activation.lane_properties(lane, NAME)]
        self._keep = Keep(NAME, self.name, activation.kept_properties(NAME, lane))

    def plan(self, con: Connection, context: Context) -> str | None:
        """Compare desired values with the shadow; linked contacts without our key get it together with their values."""
        shadow = ensure_shadow(con, NAME, self._lane.value, self._columns)
        rows = partial(context.rows, con)
        if not self._columns:
            return _bare(self._bare_people(context.activation, rows))
        hashes, desired = self._hashes(context.activation, rows), self._desired(context.activation)
        everyone, acked = population(context.activation, self._lane, rows), rows(shadow)
        updates = changes(desired, shadow, self._columns, keys=_KEYS, keep=self._keep, hashes=hashes, acked=acked)
        planned = f"{updates} UNION ALL BY NAME {clears(everyone, shadow, self._columns, keep=self._keep, acked=acked)}"
        return f"""
        SELECT c.* REPLACE (
            CASE WHEN c.kind = 'update' AND NOT coalesce(l.stamped, false) THEN 'stamp' ELSE c.kind END AS kind,
            CASE WHEN c.kind = 'create' THEN {email_target("l.looked_up_email")} END AS target,
            CASE WHEN c.kind = 'create' THEN 'create' ELSE 'update' END AS batch_group)
        FROM ({planned}) AS c
        LEFT JOIN {rows("delivery.links")} AS l ON l.destination = {literal(NAME)} AND l.cio_id = c.cio_id"""

    def objects(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002
        """Need every property of the lane."""
        return tuple(f"field:{name}" for name in self._columns)

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Send one batch; its operations are all creations or all writes to known records."""
        prefix = context.activation.workspace.prefix
        if batch[0].kind == "create":
            return await writes.create(client, prefix, batch)
        return await writes.update(client, prefix, batch, self._keep.columns)

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        """Fingerprint unanswered creations up by our key; what is there is linked and then written as an update.

        Writes to known records go back to the plan: the next comparison sends what is still wanted.
        """
        results = await super().recover(client, context, [o for o in open if o.kind != "create"])
        creations = [o for o in open if o.kind == "create"]
        for start in range(0, len(creations), api.MAX_BATCH):
            batch = creations[start : start + api.MAX_BATCH]
            reply = await api.read_contacts(
                client, list(dict.fromkeys(o.cio_id for o in batch)), (api.KEY,), by=api.KEY
            )
            records = {stamp_of(row): str(row["id"]) for row in reply.results}
            results += [
                Result(
                    o.operation_id, End.RETRY,
                    "made, but never answered; linked" if o.cio_id in records else "not made; planned again",
                    record_id=records.get(o.cio_id),
                )
                for o in batch
            ]  # fmt: skip
        return results

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Update links and shadow; forget records that are gone; look people up again whose creation collided."""
        _link_recovered(con, finished)
        fold_links(con, NAME, finished)
        if self._columns:
            # The plan's run may have been killed and the activation have gained a property since.
            shadow = ensure_shadow(con, NAME, self._lane.value, self._columns)
            fold_values(con, shadow, self._columns, finished)
        forget_gone(con, finished)
        con.execute(
            f"""UPDATE delivery.links AS l SET looked_up_email = NULL
            WHERE l.destination = {literal(NAME)} AND l.record_id IS NULL AND EXISTS (
                SELECT 1 FROM {finished} AS f
                WHERE f.cio_id = l.cio_id AND f.kind = 'create' AND f."end" = 'rejected' AND f.reason LIKE '409%')"""
        )

    def _hashes(self, activation: Activation, rows: Rows) -> str:
        """Return the SELECT of everybody who has a contact or may get one: record, hash, and place of the state row.

        Those with a contact need no look at their e-mails; the others are few, except at first contact. Whether a
        person is still there is asked of those who differ only.
        """
        state, row_hash = rows(f"state.{self._lane.value}_properties"), identifier(f"hash_{NAME}")
        return f"""
        SELECT s.cio_id, l.record_id, s.{row_hash} AS row_hash, s."@place"
        FROM {state} AS s
        JOIN {rows("delivery.links")} AS l ON l.cio_id = s.cio_id
        WHERE l.destination = {literal(NAME)} AND l.record_id IS NOT NULL
        UNION ALL
        SELECT s.cio_id, NULL, s.{row_hash}, s."@place"
        FROM {state} AS s
        SEMI JOIN ({_creatable(activation, rows)}) AS p ON p.cio_id = s.cio_id"""

    def _desired(self, activation: Activation) -> str:
        """Return the SELECT of those who differ, with their values as HubSpot takes them."""
        values = "".join(
            f", {value_sql(p, 's.' + identifier(p.name))} AS {identifier(p.name)}"
            for p in activation.lane_properties(self._lane, NAME)
        )
        return f"""
        SELECT s.cio_id, f.record_id, f.row_hash, {_PERSON} AS "@keys"{values}
        FROM (SELECT *, rowid AS "@place" FROM state.{self._lane.value}_properties
              WHERE rowid IN (SELECT "@place" FROM {DIFFERING})) AS s
        JOIN {DIFFERING} AS f ON f."@place" = s."@place"
        JOIN ({rows_of("identity.persons", DIFFERING)}) AS p ON p.cio_id = s.cio_id"""

    def _bare_people(self, activation: Activation, rows: Rows) -> str:
        """Return the SELECT of everybody who has a contact or may get one, in a lane that has lists only."""
        return f"""
        SELECT s.cio_id, l.record_id, l.stamped AS "@stamped", {_PERSON} AS "@keys", l.looked_up_email AS "@email"
        FROM ({population(activation, self._lane, rows)}) AS s
        JOIN {rows("delivery.links")} AS l ON l.destination = {literal(NAME)} AND l.cio_id = s.cio_id
        JOIN {rows("identity.persons")} AS p ON p.cio_id = s.cio_id
        WHERE l.record_id IS NOT NULL OR s.cio_id IN ({_creatable(activation, rows)})"""


def _creatable(activation: Activation, rows: Rows) -> str:
    """Return a SELECT of the ``cio_id`` of those who get a contact: looked up under their e-mail, and not found."""
    return f"""
        SELECT q.cio_id
        FROM {rows("delivery.links")} AS k JOIN {rows("identity.persons")} AS q ON q.cio_id = k.cio_id
        WHERE k.destination = {literal(NAME)} AND k.record_id IS NULL AND q.deliverable
          AND q.email = k.looked_up_email AND {_may_create(activation, rows, "q.cio_id")}"""


def _needs(activation: Activation, lane: Lane) -> tuple[str, ...]:
    needs = lane_needs(activation, lane)
    if settings_of(activation).create_people is CreatePeople.AUDIENCE_MEMBERS:
        needs += tuple(f"audience/{a.name}" for a in listed_audiences(activation, lane))
    return tuple(dict.fromkeys(needs))


def _may_create(activation: Activation, rows: Rows, cio_id: str) -> str:
    wanted = settings_of(activation).create_people
    if wanted is CreatePeople.AUDIENCE_MEMBERS:
        return f"{cio_id} IN ({members(activation, rows)})"
    return "true" if wanted is CreatePeople.EVERYONE else "false"


def _bare(desired: str) -> str:
    """Return the plan SELECT of a lane that has lists but no properties: contacts only have to exist and be ours."""
    return f"""
    SELECT CASE WHEN d.record_id IS NULL THEN 'create' ELSE 'stamp' END AS kind, d.cio_id, d.record_id,
           CASE WHEN d.record_id IS NULL THEN {email_target('d."@email"')} END AS target, '{{}}' AS payload,
           {_KEYS} AS keys, CAST(NULL AS UBIGINT) AS row_hash, 0 AS priority,
           CASE WHEN d.record_id IS NULL THEN 'create' ELSE 'update' END AS batch_group
    FROM ({desired}) AS d WHERE d.record_id IS NULL OR NOT coalesce(d."@stamped", false)"""


def _link_recovered(con: Connection, finished: str) -> None:
    """Link contacts that an unanswered creation did make."""
    con.execute(
        f"""UPDATE delivery.links AS l
        SET record_id = f.result_record_id, stamped = true, matched_by = 'cio_id', linked_at = f.ended_at
        FROM {finished} AS f
        WHERE l.destination = {literal(NAME)} AND l.cio_id = f.cio_id AND l.record_id IS NULL
          AND f.kind = 'create' AND f."end" = 'retry' AND f.result_record_id IS NOT NULL"""
    )
