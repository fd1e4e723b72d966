"""The step ``properties_<lane>``: property values of contacts, creations of those who have none, our key on all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cio_activation.activation.models import Activation, Lane, PropertyType
from cio_activation.delivery.destination import NOT_MADE, AbsoluteStep, Context, Limit, Step
from cio_activation.delivery.fields import (
    DIFFERING,
    Keep,
    changes,
    clears,
    ensure_shadow,
    fold_values,
    rows_of,
    shadow_name,
)
from cio_activation.delivery.links import fold_links
from cio_activation.delivery.unmatched import is_barred
from cio_activation.destinations.common.kinds import CREATE, RECORDS, STAMP, UPDATE, VALUES
from cio_activation.destinations.common.people import (
    CreatePeople,
    OnDeleted,
    lane_needs,
    may_create,
    members,
    population,
    population_tables,
)
from cio_activation.destinations.common.removed_fields import removed_columns
from cio_activation.destinations.hubspot import api, writes
from cio_activation.destinations.hubspot.config import NAME, delivered_audiences, settings_of
from cio_activation.destinations.hubspot.contact_links import LinksStep, email_target
from cio_activation.destinations.hubspot.gone import forget_gone, has_unsettled
from cio_activation.destinations.hubspot.values import TEXT_MAX, stamp_of, value_sql
from cio_activation.journal.operations import End, Kind, Operation, Result, person_claim_sql
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.scope import Scope
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal

_PERSON = """CAST(to_json({cio_id: s.cio_id, email: p.email, first_name: p.first_name,
                              last_name: p.last_name, phone: p.phone}) AS VARCHAR)"""
_KEYS = """CASE WHEN d.record_id IS NULL THEN d."@keys" ELSE '{}' END"""


class PropertiesStep(AbsoluteStep):
    """Writes what changed since HubSpot last acknowledged it; one call per 100 people."""

    kinds: tuple[Kind, ...] = RECORDS

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

    def reads(self, context: Context) -> tuple[str, ...]:
        """Compare state with the shadow, over links, persons, and members where these get contacts."""
        tables = [*population_tables(context.activation, NAME, self._lane), "delivery.links", "identity.persons"]
        if self._columns:
            tables.append(shadow_name(NAME, self._lane.value))
        if settings_of(context.activation).create_people is CreatePeople.AUDIENCE_MEMBERS:
            tables.append("audience.memberships")
        return tuple(tables)

    def refresh(self, con: Connection, context: Context) -> None:  # noqa: ARG002
        """Give the shadow a column for every property."""
        ensure_shadow(con, NAME, self._lane.value, self._columns)

    def plan(self, con: Connection, context: Context) -> str | None:
        """Compare desired values with the shadow; linked contacts without our key get it together with their values."""
        activation, scope = context.activation, context.scope
        if not self._columns:
            return _bare(self._bare_people(activation, scope))
        shadow = shadow_name(NAME, self._lane.value)
        everyone = population(activation, NAME, self._lane, delivered_audiences(activation), scope)
        updates = changes(
            self._desired(activation), shadow, self._columns,
            kinds=VALUES, keys=_KEYS, keep=self._keep, hashes=self._hashes(activation, scope), acked=scope.rows(shadow),
        )  # fmt: skip
        columns = [*self._columns, *removed_columns(con, activation, context.catalog, NAME, self._lane)]
        cleared = clears(everyone, shadow, columns, kinds=VALUES, keep=self._keep, acked=scope.rows(shadow))
        create, update = literal(CREATE.name), literal(UPDATE.name)
        return f"""
        SELECT c.* REPLACE (
            CASE WHEN c.kind = {update} AND NOT coalesce(l.stamped, false) THEN {literal(STAMP.name)}
                 ELSE c.kind END AS kind,
            CASE WHEN c.kind = {create} THEN {email_target("l.looked_up_email")} END AS target,
            CASE WHEN c.kind = {create} THEN {create} ELSE {update} END AS batch_group)
        FROM ({updates} UNION ALL BY NAME {cleared}) AS c
        LEFT JOIN {scope.rows("delivery.links")} AS l ON l.destination = {literal(NAME)} AND l.cio_id = c.cio_id"""

    def limits(self, context: Context) -> Mapping[str, Limit]:
        """Return how long a text may be."""
        texts = (p for p in context.activation.lane_properties(self._lane, NAME) if p.type is PropertyType.TEXT)
        return {p.name: Limit(longest=TEXT_MAX) for p in texts}

    def objects(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002
        """Need every property of the lane."""
        return tuple(f"field:{name}" for name in self._columns)

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Send one batch; its operations are all creations or all writes to known records."""
        prefix = context.activation.workspace.prefix
        if batch[0].kind.creates:
            return await writes.create(client, prefix, batch)
        return await writes.update(client, prefix, batch, self._keep.columns)

    async def look_up(self, client: VendorClient, context: Context, unanswered: Sequence[Operation]) -> list[Result]:
        """Read the contacts, 100 a call, and see whether they hold what was written."""
        return await writes.look_up(client, context.activation.workspace.prefix, unanswered)

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        """Look unanswered creations up by our key; what is there is linked and then written as an update.

        Writes to known records go back to the plan: the next comparison sends what is still wanted.
        """
        results = await super().recover(client, context, [o for o in open if not o.kind.creates])
        creations = [o for o in open if o.kind.creates]
        for start in range(0, len(creations), api.MAX_BATCH):
            batch = creations[start : start + api.MAX_BATCH]
            reply = await api.read_contacts(
                client, list(dict.fromkeys(o.cio_id for o in batch)), (api.KEY,), by=api.KEY
            )
            records = {stamp_of(row): str(row["id"]) for row in reply.results}
            results += [
                Result(
                    o.operation_id, End.RETRY,
                    "made, but never answered; linked" if o.cio_id in records else NOT_MADE,
                    record_id=records.get(o.cio_id),
                )
                for o in batch
            ]  # fmt: skip
        return results

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Update links and shadow; forget records that are gone; look people up again whose creation collided."""
        _link_recovered(con, finished)
        fold_links(con, NAME, self.kinds, finished)
        if self._columns:
            # The plan's run may have been killed and the activation have gained a property since.
            shadow = ensure_shadow(con, NAME, self._lane.value, self._columns)
            fold_values(con, shadow, self._columns, self.kinds, finished)
        forget_gone(con, finished)
        con.execute(
            f"""UPDATE delivery.links AS l SET looked_up_email = NULL
            WHERE l.destination = {literal(NAME)} AND l.record_id IS NULL AND EXISTS (
                SELECT 1 FROM {finished} AS f
                WHERE f.cio_id = l.cio_id AND f.kind = {literal(CREATE.name)} AND f."end" = 'rejected'
                  AND f.reason LIKE '409%')"""
        )

    def follow_up(self, con: Connection, context: Context) -> Sequence[Step]:
        """Look for those at once whose contact was found gone, and write to what has taken its place."""
        if not has_unsettled(con):
            return ()
        activation = context.activation
        return (LinksStep(activation, self._lane), PropertiesStep(activation, self._lane))

    def _hashes(self, activation: Activation, scope: Scope) -> str:
        """Return the SELECT of everybody who has a contact or may get one: record, hash, and place of the state row.

        Those with a contact need no look at their e-mails; the others are few, except at first contact. Whether a
        person is still there is asked of those who differ only.
        """
        state, row_hash = scope.rows(f"state.{self._lane.value}_properties"), identifier(f"hash_{NAME}")
        return f"""
        SELECT s.cio_id, l.record_id, s.{row_hash} AS row_hash, s."@place"
        FROM {state} AS s
        JOIN {scope.rows("delivery.links")} AS l ON l.cio_id = s.cio_id
        WHERE l.destination = {literal(NAME)} AND l.record_id IS NOT NULL
        UNION ALL
        SELECT s.cio_id, NULL, s.{row_hash}, s."@place"
        FROM {state} AS s
        SEMI JOIN ({_creatable(activation, scope)}) AS p ON p.cio_id = s.cio_id"""

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

    def _bare_people(self, activation: Activation, scope: Scope) -> str:
        """Return the SELECT of everybody who has a contact or may get one, in a lane that has lists only."""
        people = population(activation, NAME, self._lane, delivered_audiences(activation), scope)
        return f"""
        SELECT s.cio_id, l.record_id, l.stamped AS "@stamped", {_PERSON} AS "@keys", l.looked_up_email AS "@email"
        FROM ({people}) AS s
        JOIN {scope.rows("delivery.links")} AS l ON l.destination = {literal(NAME)} AND l.cio_id = s.cio_id
        JOIN {scope.rows("identity.persons")} AS p ON p.cio_id = s.cio_id
        WHERE l.record_id IS NOT NULL OR s.cio_id IN ({_creatable(activation, scope)})"""


def _creatable(activation: Activation, scope: Scope) -> str:
    """Return a SELECT of the ``cio_id`` of those who get a contact: looked up under their e-mail, and not found.

    Nor deleted in HubSpot, unless those are made anew.
    """
    options = settings_of(activation)
    allowed = may_create(options.create_people, "q.cio_id", members(delivered_audiences(activation), scope))
    barred = is_barred(NAME, "q.cio_id", "q.email", recreate=options.on_deleted is OnDeleted.RECREATE)
    return f"""
        SELECT q.cio_id
        FROM {scope.rows("delivery.links")} AS k JOIN {scope.rows("identity.persons")} AS q ON q.cio_id = k.cio_id
        WHERE k.destination = {literal(NAME)} AND k.record_id IS NULL AND q.deliverable
          AND q.email = k.looked_up_email AND {allowed} AND NOT coalesce({barred}, false)"""


def _needs(activation: Activation, lane: Lane) -> tuple[str, ...]:
    needs = lane_needs(activation, NAME, lane, delivered_audiences(activation))
    if settings_of(activation).create_people is CreatePeople.AUDIENCE_MEMBERS:
        needs += tuple(f"audience/{a.name}" for a in delivered_audiences(activation, lane))
    return tuple(dict.fromkeys(needs))


def _bare(desired: str) -> str:
    """Return the plan SELECT of a lane that has lists but no properties: contacts only have to exist and be ours."""
    create, stamp, update = literal(CREATE.name), literal(STAMP.name), literal(UPDATE.name)
    return f"""
    SELECT CASE WHEN d.record_id IS NULL THEN {create} ELSE {stamp} END AS kind, d.cio_id, d.record_id,
           CASE WHEN d.record_id IS NULL THEN {email_target('d."@email"')} END AS target, '{{}}' AS payload,
           {_KEYS} AS keys, CAST(NULL AS UBIGINT) AS row_hash, 0 AS priority,
           CASE WHEN d.record_id IS NULL THEN {create} ELSE {update} END AS batch_group,
           CASE WHEN d.record_id IS NULL THEN {person_claim_sql("d.cio_id")} END AS claim
    FROM ({desired}) AS d WHERE d.record_id IS NULL OR NOT coalesce(d."@stamped", false)"""


def _link_recovered(con: Connection, finished: str) -> None:
    """Link contacts that an unanswered creation did make."""
    con.execute(
        f"""UPDATE delivery.links AS l
        SET record_id = f.result_record_id, stamped = true, matched_by = 'cio_id', linked_at = f.ended_at
        FROM {finished} AS f
        WHERE l.destination = {literal(NAME)} AND l.cio_id = f.cio_id AND l.record_id IS NULL
          AND f.kind = {literal(CREATE.name)} AND f."end" = 'retry' AND f.result_record_id IS NOT NULL"""
    )
