"""The step ``contact_links_<lane>``: finds the contact of each person who needs one and has no known record.

Looked up once per person and e-mail; what was found, and that nothing was found, is kept in ``delivery.links``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import AbsoluteStep, Context, Step
from cio_activation.delivery.links import fold_links
from cio_activation.delivery.unmatched import forget_found
from cio_activation.destinations.common.kinds import LINK
from cio_activation.destinations.common.people import OnDeleted, lane_needs, population, population_tables
from cio_activation.destinations.hubspot import api, contact_claims, schema
from cio_activation.destinations.hubspot.config import NAME, listed_audiences, settings_of
from cio_activation.destinations.hubspot.gone import has_unsettled
from cio_activation.journal.operations import End, Kind, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.addresses import email as normalized
from cio_activation.warehouse.addresses import unicode_form
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

TAKEN = contact_claims.TAKEN
SEEK_AFTER = timedelta(days=30)
"""As-of time after which somebody whose contact was deleted is looked for again; ``rejected --retry`` does at once."""
_MERGED = "hs_merged_object_ids"
_PROPERTIES = ("email", "hs_additional_emails", api.KEY, _MERGED)


class LinksStep(AbsoluteStep):
    """Looks up contacts by e-mail, additional e-mails included; 100 people a call."""

    kinds: tuple[Kind, ...] = (LINK,)

    def __init__(self, activation: Activation, lane: Lane) -> None:
        self.name = f"contact_links_{lane.value}"
        self.lane: Lane | None = lane
        self._lane = lane
        self.description = f"Which HubSpot contact each person of the {lane.value} lane is."
        self.after: tuple[str, ...] = ("schema",)
        self.needs: tuple[str, ...] = lane_needs(activation, NAME, lane, listed_audiences(activation))
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
        links = rows("delivery.links")
        people = population(activation, NAME, self._lane, listed_audiences(activation), context.scope)
        return f"""
        SELECT {literal(LINK.name)} AS kind, p.cio_id, CAST(NULL AS VARCHAR) AS record_id,
               {email_target("p.email")} AS target,
               '{{}}' AS payload,
               CAST(to_json({{cio_id: p.cio_id, email: p.email, was_gone: coalesce(g.record_id,
                              CASE WHEN l.matched_by = 'gone' THEN '' END)}}) AS VARCHAR) AS keys,
               CAST(NULL AS UBIGINT) AS row_hash, 0 AS priority, {literal(LINK.name)} AS batch_group
        FROM (
            WITH free AS MATERIALIZED (
                SELECT q.cio_id, q.email FROM {rows("identity.persons")} AS q
                ANTI JOIN (
                    SELECT cio_id FROM {links} WHERE destination = {literal(NAME)} AND record_id IS NOT NULL
                ) AS k ON k.cio_id = q.cio_id
                WHERE q.deliverable AND q.email IS NOT NULL)
            SELECT * FROM free
        ) AS p
        SEMI JOIN ({people}) AS s ON s.cio_id = p.cio_id
        LEFT JOIN {links} AS l ON l.destination = {literal(NAME)} AND l.cio_id = p.cio_id
        LEFT JOIN delivery.gone_records AS g ON g.destination = {literal(NAME)} AND g.cio_id = p.cio_id
        WHERE l.cio_id IS NULL OR l.looked_up_email IS DISTINCT FROM p.email
           OR ({str(asking).lower()} AND g.in_bin IS NULL AND g.record_id IS NOT NULL){self._in_turn(context)}
        UNION ALL
        SELECT {literal(LINK.name)}, p.cio_id, NULL, 'record:' || l.record_id, '{{}}',
               CAST(to_json({{cio_id: p.cio_id, email: p.email, known: l.record_id, matched_by: l.matched_by}})
                    AS VARCHAR),
               CAST(NULL AS UBIGINT), 0, {literal(LINK.name)}
        FROM {links} AS l JOIN {rows("identity.persons")} AS p ON p.cio_id = l.cio_id
        WHERE l.destination = {literal(NAME)} AND l.record_id IS NOT NULL AND l.recheck
          AND p.deliverable AND p.email IS NOT NULL"""

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
        there, lost, unclear = await _known_records(client, batch)
        results = [_seen(o, there[o.operation_id]) for o in batch if o.operation_id in there]
        asked = [o for o in batch if o.operation_id not in there and o.operation_id not in unclear]
        if not asked:
            return results
        emails = list(dict.fromkeys(_email(o) for o in asked))
        by_email = await api.read_contacts(client, emails, _PROPERTIES, by="email")
        records = {email: row for row in by_email.results for email in emails_of(row)}
        if others := [o for e in emails if e not in records and (o := unicode_form(e))]:
            # HubSpot compares texts: a colleague may have typed the domain as people read it.
            read = await api.read_contacts(client, others, _PROPERTIES, by="email")
            records = {email: row for row in read.results for email in emails_of(row)} | records
        adopting = bool(context.catalog.get(schema.KEY_WAS_THERE))
        # None: never had a record; '': it is not known which.
        parted = {o.operation_id: lost.get(o.operation_id, o.keys.get("was_gone")) for o in asked}
        keyless = [
            o.cio_id for o in asked if adopting or (parted[o.operation_id] is not None and _email(o) not in records)
        ]
        by_key: dict[str, api.Row] = {}
        if keyless:
            # A survivor of a merge may carry our key under an e-mail we do not know.
            found = await api.read_contacts(client, keyless, _PROPERTIES, by=api.KEY)
            by_key = {str(stamp): row for row in found.results if (stamp := stamp_of(row))}
        missing: list[Operation] = []
        for operation in asked:
            row, how = by_key.get(operation.cio_id), api.KEY
            if row is None:
                row, how = records.get(_email(operation)), "email"
            if row is not None:
                results.append(_found(operation, row, how, lost.get(operation.operation_id), by_email))
            elif _email(operation) in by_email.missing:
                missing.append(operation)
        old = {o.operation_id: str(parted[o.operation_id]) for o in missing if parted[o.operation_id]}
        asking = settings_of(context.activation).on_deleted is OnDeleted.RECREATE
        bin_ = await api.in_recycle_bin(client, list(old.values())) if asking and old else None
        # People the answer does not mention become unknown, never "not found".
        return results + [
            _not_found(o, lost.get(o.operation_id), None if bin_ is None else old.get(o.operation_id) in bin_, by_email)
            for o in missing
        ]

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Store links; one record belongs to one person, and records of people who are no more change hands."""
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


def email_target(email: str) -> str:
    """Return SQL for the target of a look-up or creation: the e-mail, hashed, so that a new one is a new operation."""
    return f"'email:' || left(md5({email}), 16)"


def emails_of(row: api.Row) -> tuple[str, ...]:
    """Return a contact's e-mail and its additional e-mails, as ours are compared."""
    shown = row.get("properties") or {}
    texts = [shown.get("email") or "", *str(shown.get("hs_additional_emails") or "").split(";")]
    return tuple(known for t in texts if (known := normalized(t)))


def stamp_of(row: api.Row) -> str | None:
    """Return the ``cio_id`` a contact carries, None if it carries none."""
    value = (row.get("properties") or {}).get(api.KEY)
    return str(value) if value else None


def hashed(address: str) -> str:
    """Return what stands for an address in the observations of a look-up; DuckDB's ``md5`` gives the same."""
    return hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()


def _email(operation: Operation) -> str:
    return normalized(operation.keys.get("email")) or ""


async def _known_records(
    client: VendorClient, batch: Sequence[Operation]
) -> tuple[dict[str, api.Row], dict[str, str], set[str]]:
    """Read the records of ``batch`` that may be gone.

    Returns operation id -> row of those that are there, -> record id of those that are surely not under that id, and
    the operations of which the answer does not say either.
    """
    known = {o.operation_id: str(o.keys["known"]) for o in batch if o.keys.get("known")}
    if not known:
        return {}, {}, set()
    reply = await api.read_contacts(client, list(dict.fromkeys(known.values())), _PROPERTIES)
    rows = {str(row.get("id")): row for row in reply.results}
    there = {operation: rows[record_id] for operation, record_id in known.items() if record_id in rows}
    # An id that was merged away may be answered with its survivor's row, under the survivor's id.
    merged = {i for row in reply.results for i in merged_ids(row)}
    lost = {o: i for o, i in known.items() if o not in there and (i in reply.missing or i in merged)}
    return there, lost, known.keys() - there.keys() - lost.keys()


def merged_ids(row: api.Row) -> tuple[str, ...]:
    """Return the ids of the records that were merged into a contact."""
    shown = str((row.get("properties") or {}).get(_MERGED) or "")
    return tuple(i for i in shown.split(";") if i)


def _seen(operation: Operation, row: api.Row) -> Result:
    """Return the end of a look at a record that is still there: nothing changes."""
    stamped = "true" if stamp_of(row) == operation.cio_id else "false"
    observed = {"seen": "true", "stamped": stamped, "matched_by": operation.keys.get("matched_by")}
    return Result(operation.operation_id, End.DELIVERED, record_id=str(row["id"]), observed=observed)


def _found(operation: Operation, row: api.Row, how: str, lost: str | None, reply: api.BatchReply) -> Result:
    """Return the end of a look-up that found a record, with all that decides whose it is."""
    stamp, shown = stamp_of(row), emails_of(row)
    primary = normalized((row.get("properties") or {}).get("email"))
    observed: dict[str, object] = {
        "stamped": "true" if stamp == operation.cio_id else "false",
        "matched_by": how,
        "primary": None if primary is None else hashed(primary),
        "addresses": [hashed(address) for address in shown],
        "merged": list(merged_ids(row)),
    }
    if stamp not in (None, operation.cio_id):
        observed["carried_for"] = stamp
    if lost is not None:
        observed["lost"] = lost
    return Result(
        operation.operation_id, End.DELIVERED, record_id=str(row["id"]), status=reply.status,
        request_id=reply.request_id, observed=observed,
    )  # fmt: skip


def _not_found(operation: Operation, lost: str | None, in_bin: bool | None, reply: api.BatchReply) -> Result:
    observed: dict[str, object] = {"stamped": "false"}
    if in_bin is not None:
        observed["in_bin"] = in_bin
    if lost is not None:
        observed["lost"] = lost
    return Result(
        operation.operation_id, End.DELIVERED, status=reply.status, request_id=reply.request_id, observed=observed
    )


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
