"""The step ``contact_links_<lane>``: finds the contact of each person who needs one and has no known record.

Looked up once per person, e-mail and phone (where that is a match key); what was found, and that nothing was found, is
kept in ``delivery.links``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import AbsoluteStep, Context, Step
from cio_activation.delivery.links import fold_links
from cio_activation.delivery.unmatched import forget_found
from cio_activation.destinations.common.kinds import LINK
from cio_activation.destinations.common.people import OnDeleted, lane_needs, population, population_tables
from cio_activation.destinations.hubspot import api, contact_claims, phone_links, schema
from cio_activation.destinations.hubspot.config import NAME, delivered_audiences, listed_audiences, settings_of
from cio_activation.destinations.hubspot.contact_answers import PROPERTIES, found, known_records, not_found, seen
from cio_activation.destinations.hubspot.gone import has_unsettled
from cio_activation.destinations.hubspot.values import emails_of, stamp_of
from cio_activation.journal.operations import Kind, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.addresses import email as normalized
from cio_activation.warehouse.addresses import unicode_form
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

TAKEN = contact_claims.TAKEN
SEEK_AFTER = timedelta(days=30)
"""As-of time after which somebody whose contact was deleted is looked for again; ``rejected --retry`` does at once."""


class LinksStep(AbsoluteStep):
    """Looks up contacts by e-mail, additional e-mails included; 100 people a call."""

    kinds: tuple[Kind, ...] = (LINK,)

    def __init__(self, activation: Activation, lane: Lane) -> None:
        self.name = f"contact_links_{lane.value}"
        self.lane: Lane | None = lane
        self._lane = lane
        self.description = f"Which HubSpot contact each person of the {lane.value} lane is."
        self.after: tuple[str, ...] = ("schema",)
        self.needs: tuple[str, ...] = lane_needs(activation, NAME, lane, delivered_audiences(activation))
        self.batch_size = api.MAX_BATCH
        self.concurrency = api.CONCURRENCY

    def reads(self, context: Context) -> tuple[str, ...]:
        """Compare whom the lane delivers with whom we know a record of."""
        return ("delivery.links", "identity.persons", *population_tables(context.activation, NAME, self._lane))

    def plan(self, con: Connection, context: Context) -> str | None:  # noqa: ARG002
        """Plan a look-up for deliverable people without a row in links, or whose e-mail changed and found nothing.

        Whoever has a record goes first: that leaves few people, except at first contact. Records that may be gone are
        looked at by their id.
        """
        rows, activation = context.scope.rows, context.activation
        asking = settings_of(activation).on_deleted is OnDeleted.RECREATE
        email, wanted = "q.email", "q.deliverable AND q.email IS NOT NULL"
        target, sought, phone_key = email_target("p.email"), "l.looked_up_email IS DISTINCT FROM p.email", ""
        if activation.match.phone:
            # An address that is another's leads this person nowhere, also where a phone may.
            email = (
                "CASE WHEN q.deliverable THEN q.email END AS email, CASE WHEN q.phone_owner THEN q.phone END AS phone"
            )
            wanted = f"(({wanted}) OR q.phone_owner)"
            target = f"concat({target}, ' phone:' || left(md5(p.phone), 16))"
            sought = f"(p.email IS NOT NULL AND {sought}) OR l.looked_up_phone IS DISTINCT FROM p.phone"
            phone_key = ", phone: p.phone"
        keyed = f"SELECT q.cio_id, {email} FROM {rows('identity.persons')} AS q"
        links = rows("delivery.links")
        people = population(activation, NAME, self._lane, delivered_audiences(activation), context.scope)
        return f"""
        SELECT {literal(LINK.name)} AS kind, p.cio_id, CAST(NULL AS VARCHAR) AS record_id,
               {target} AS target,
               '{{}}' AS payload,
               CAST(to_json({{cio_id: p.cio_id, email: p.email{phone_key}, was_gone: coalesce(g.record_id,
                              CASE WHEN l.matched_by = 'gone' THEN '' END)}}) AS VARCHAR) AS keys,
               CAST(NULL AS UBIGINT) AS row_hash, 0 AS priority, {literal(LINK.name)} AS batch_group
        FROM (
            WITH free AS MATERIALIZED (
                {keyed}
                ANTI JOIN (
                    SELECT cio_id FROM {links} WHERE destination = {literal(NAME)} AND record_id IS NOT NULL
                ) AS k ON k.cio_id = q.cio_id
                WHERE {wanted})
            SELECT * FROM free
        ) AS p
        SEMI JOIN ({people}) AS s ON s.cio_id = p.cio_id
        LEFT JOIN {links} AS l ON l.destination = {literal(NAME)} AND l.cio_id = p.cio_id
        LEFT JOIN delivery.gone_records AS g ON g.destination = {literal(NAME)} AND g.cio_id = p.cio_id
        WHERE l.cio_id IS NULL OR {sought}
           OR ({str(asking).lower()} AND g.in_bin IS NULL AND g.record_id IS NOT NULL){self._in_turn(context)}
        UNION ALL
        SELECT {literal(LINK.name)}, p.cio_id, NULL, 'record:' || l.record_id, '{{}}',
               CAST(to_json({{cio_id: p.cio_id, email: p.email{phone_key}, known: l.record_id,
                              matched_by: l.matched_by}}) AS VARCHAR),
               CAST(NULL AS UBIGINT), 0, {literal(LINK.name)}
        FROM {links} AS l JOIN ({keyed} WHERE {wanted}) AS p ON p.cio_id = l.cio_id
        WHERE l.destination = {literal(NAME)} AND l.record_id IS NOT NULL AND l.recheck"""

    def _in_turn(self, context: Context) -> str:
        """Return SQL that adds whose deleted contact was last looked for long ago: somebody may have restored it."""
        if context.window is None or self._lane is not Lane.DAILY:  # in the other lane only changes are looked at
            return ""
        return f" OR g.sought_at <= {timestamp(context.window.as_of - SEEK_AFTER)}"

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Look a batch up: records that may be gone by their id, everybody else, and who lost theirs, by e-mail.

        By our key, and that first, who may carry it without our knowing: that is who had a record which is gone, and
        everybody where the account had the key before this home came. Whose a contact is that several people match is
        decided in the fold, by what the warehouse knows (``contact_claims``).
        """
        there, lost, unclear = await known_records(client, batch)
        results = [seen(o, there[o.operation_id]) for o in batch if o.operation_id in there]
        asked = [o for o in batch if o.operation_id not in there and o.operation_id not in unclear]
        if not asked:
            return results
        addresses = {o.operation_id: _email(o) for o in asked}
        emails = list(dict.fromkeys(filter(None, addresses.values())))
        by_email = await _read(client, emails)
        records = {email: row for row in by_email.results for email in emails_of(row)}
        if others := [o for e in emails if e not in records and (o := unicode_form(e))]:
            # HubSpot compares texts: a colleague may have typed the domain as people read it.
            read = await _read(client, others)
            records = {email: row for row in read.results for email in emails_of(row)} | records
        adopting = bool(context.catalog.get(schema.KEY_WAS_THERE))
        # None: never had a record; '': it is not known which.
        parted = {o.operation_id: lost.get(o.operation_id, o.keys.get("was_gone")) for o in asked}
        keyless = [
            o.cio_id
            for o in asked
            if adopting or (parted[o.operation_id] is not None and addresses[o.operation_id] not in records)
        ]
        by_key: dict[str, api.Row] = {}
        if keyless:
            # A survivor of a merge may carry our key under an e-mail we do not know.
            carriers = await api.read_contacts(client, keyless, PROPERTIES, by=api.KEY)
            by_key = {str(stamp): row for row in carriers.results if (stamp := stamp_of(row))}
        missing: list[Operation] = []
        for operation in asked:
            row, how, email = by_key.get(operation.cio_id), api.KEY, addresses[operation.operation_id]
            if row is None:
                row, how = records.get(email), "email"
            if row is not None:
                results.append(found(operation, row, how, lost.get(operation.operation_id), by_email))
            elif not email or email in by_email.missing:
                missing.append(operation)
        by_phone = phone_links.Found()
        if context.activation.match.phone:
            taken = {str(r.record_id) for r in results if r.record_id}
            by_phone = await phone_links.look_up(client, context, missing, taken)
        results += [
            found(o, by_phone.rows[o.operation_id], "phone", lost.get(o.operation_id), by_email)
            for o in missing
            if o.operation_id in by_phone.rows
        ]
        missing = [o for o in missing if o.operation_id not in by_phone.rows]
        old = {o.operation_id: str(parted[o.operation_id]) for o in missing if parted[o.operation_id]}
        asking = settings_of(context.activation).on_deleted is OnDeleted.RECREATE
        bin_ = await api.in_recycle_bin(client, list(old.values())) if asking and old else None
        # People the answer does not mention become unknown, never "not found".
        for operation in missing:
            of = operation.operation_id
            in_bin = None if bin_ is None else old.get(of) in bin_
            results.append(not_found(operation, lost.get(of), in_bin, by_phone.ambiguous.get(of), by_email))
        return results

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Store links; one record belongs to one person, and records of people who are no more change hands."""
        phone_links.settle(con, context, finished)
        contact_claims.settle(con, finished)
        fold_links(con, NAME, self.kinds, finished)
        contact_claims.hand_over(con, finished)
        _lists_in_doubt(con, context, finished)

    def refresh(self, con: Connection, context: Context) -> None:  # noqa: ARG002
        """Take whoever has a contact again off the lists of those who have none."""
        forget_found(con, NAME)

    def follow_up(self, con: Connection, context: Context) -> Sequence[Step]:
        """Look for those at once whose record was found gone just now."""
        return (LinksStep(context.activation, self._lane),) if has_unsettled(con) else ()


async def _read(client: VendorClient, emails: Sequence[str]) -> api.BatchReply:
    if not emails:
        return api.BatchReply(200, (), (), None)
    return await api.read_contacts(client, emails, PROPERTIES, by="email")


def email_target(email: str) -> str:
    """Return SQL for the target of a look-up or creation: the e-mail, hashed, so that a new one is a new operation."""
    return f"'email:' || left(md5({email}), 16)"


def _email(operation: Operation) -> str:
    return normalized(operation.keys.get("email")) or ""


def _lists_in_doubt(con: Connection, context: Context, finished: str) -> None:
    """Put in doubt every list place on a record that outlived a merge: it inherited those of the other one.

    That is who was found on another record than before, and who has a record that somebody else was merged into.
    """
    names = ", ".join(f"({literal(a.name)})" for a in listed_audiences(context.activation))
    if not names:
        return
    con.execute(
        f"""INSERT INTO delivery.members
        SELECT DISTINCT {literal(NAME)}, a.name, f.cio_id, f.record_id, CAST(NULL AS TIMESTAMP)
        FROM ({contact_claims.survivors(finished)}) AS f, (VALUES {names}) AS a(name)
        WHERE NOT EXISTS (
              SELECT 1 FROM delivery.members AS m WHERE m.destination = {literal(NAME)} AND m.audience = a.name
                AND m.cio_id = f.cio_id AND m.record_id = f.record_id)"""
    )
