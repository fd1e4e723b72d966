"""The step ``contact_links_<lane>``: finds the contact of each person who needs one and has no known record.

Looked up once per person and e-mail; what was found, and that nothing was found, is kept in ``delivery.links``.
"""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.models import Activation, Lane
from cio_activation.delivery.destination import AbsoluteStep, Context
from cio_activation.delivery.links import fold_links
from cio_activation.destinations.common.kinds import LINK
from cio_activation.destinations.common.people import lane_needs, population, population_tables
from cio_activation.destinations.common.records import forget_links, forget_shadows
from cio_activation.destinations.hubspot import api, schema
from cio_activation.destinations.hubspot.config import NAME, listed_audiences
from cio_activation.journal.operations import Cause, End, Kind, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.addresses import email as normalized
from cio_activation.warehouse.addresses import unicode_form
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

TAKEN = "record is linked to another person"
_PROPERTIES = ("email", "hs_additional_emails", api.KEY)


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

        Whoever has a record goes first: that leaves few people, except at first contact.
        """
        rows, activation = context.scope.rows, context.activation
        links = rows("delivery.links")
        people = population(activation, NAME, self._lane, listed_audiences(activation), context.scope)
        return f"""
        SELECT {literal(LINK.name)} AS kind, p.cio_id, CAST(NULL AS VARCHAR) AS record_id,
               {email_target("p.email")} AS target,
               '{{}}' AS payload,
               CAST(to_json({{cio_id: p.cio_id, email: p.email,
                              was_gone: CASE WHEN l.matched_by = 'gone' THEN 'true' END}}) AS VARCHAR) AS keys,
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
        WHERE l.cio_id IS NULL OR l.looked_up_email IS DISTINCT FROM p.email"""

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Look a batch up by e-mail; by our key, and that first, who may carry it without our knowing.

        That is who had a record which is gone, and everybody where the account had the key before this home came.
        """
        emails = list(dict.fromkeys(_email(o) for o in batch))
        by_email = await api.read_contacts(client, emails, _PROPERTIES, by="email")
        records = {email: row for row in by_email.results for email in emails_of(row)}
        if others := [o for e in emails if e not in records and (o := unicode_form(e))]:
            # HubSpot compares texts: a colleague may have typed the domain as people read it.
            read = await api.read_contacts(client, others, _PROPERTIES, by="email")
            records = {email: row for row in read.results for email in emails_of(row)} | records
        adopting = bool(context.catalog.get(schema.KEY_WAS_THERE))
        lost = [o.cio_id for o in batch if adopting or (o.keys.get("was_gone") and _email(o) not in records)]
        by_key: dict[str, api.Row] = {}
        if lost:
            # A survivor of a merge may carry our key under an e-mail we do not know.
            found = await api.read_contacts(client, lost, _PROPERTIES, by=api.KEY)
            by_key = {str(stamp): row for row in found.results if (stamp := stamp_of(row))}
        results: list[Result] = []
        holder: dict[str, str] = {}
        for operation in sorted(batch, key=lambda o: o.cio_id):
            email = _email(operation)
            row, how = by_key.get(operation.cio_id), api.KEY
            if row is None:
                row, how = records.get(email), "email"
            if row is not None:
                results.append(_found(operation, row, how, holder, by_email))
            elif email in by_email.missing:
                results.append(
                    Result(
                        operation.operation_id, End.DELIVERED, status=by_email.status,
                        request_id=by_email.request_id, observed={"stamped": "false"},
                    )
                )  # fmt: skip
        return results  # people the answer does not mention become unknown, never "not found"

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Store links; one record belongs to one person, and records of people who are no more change hands."""
        _settle_rivals(con, finished)
        fold_links(con, NAME, self.kinds, finished)
        _hand_over(con, finished)
        _lists_in_doubt(con, context, finished)


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


def _email(operation: Operation) -> str:
    return normalized(operation.keys.get("email")) or ""


def _found(operation: Operation, row: api.Row, how: str, holder: dict[str, str], reply: api.BatchReply) -> Result:
    record_id, stamp = str(row["id"]), stamp_of(row)
    observed = {"stamped": "true" if stamp == operation.cio_id else "false", "matched_by": how}
    if stamp not in (None, operation.cio_id):
        observed["carried_for"] = str(stamp)
    # The first of our people, by cio_id, gets a record that two of them match.
    rival = holder.setdefault(record_id, operation.cio_id) if "carried_for" not in observed else operation.cio_id
    free = rival == operation.cio_id and "carried_for" not in observed
    if not free:
        observed["cause"] = Cause.CLASH
    return Result(
        operation.operation_id, End.DELIVERED if free else End.REJECTED, None if free else TAKEN,
        record_id=record_id, status=reply.status, request_id=reply.request_id, observed=observed,
    )  # fmt: skip


def _settle_rivals(con: Connection, finished: str) -> None:
    """Correct the ends of look-ups by what only the warehouse knows.

    A record whose key is of nobody we know any more (a profile deleted and made anew) is free. A record that
    another living person has, from an earlier batch or run, is taken.
    """
    con.execute(
        f"""UPDATE {finished} AS f SET "end" = 'delivered', reason = NULL
        WHERE f.kind = {literal(LINK.name)} AND f."end" = 'rejected'
          AND json_extract_string(f.observed, '$.carried_for') IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM identity.persons AS p
                          WHERE p.cio_id = json_extract_string(f.observed, '$.carried_for'))"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE losers AS
        WITH found AS (
            SELECT operation_id, cio_id, result_record_id AS record_id FROM {finished}
            WHERE kind = {literal(LINK.name)} AND "end" = 'delivered' AND result_record_id IS NOT NULL)
        SELECT f.operation_id FROM found AS f
        JOIN delivery.links AS l
          ON l.destination = {literal(NAME)} AND l.record_id = f.record_id AND l.cio_id <> f.cio_id
        SEMI JOIN identity.persons AS p ON p.cio_id = l.cio_id
        UNION
        SELECT operation_id FROM found
        QUALIFY row_number() OVER (PARTITION BY record_id ORDER BY cio_id) > 1"""
    )
    con.execute(
        f"""UPDATE {finished} SET "end" = 'rejected', reason = {literal(TAKEN)},
            observed = CAST(json_merge_patch(observed, {literal(f'{{"cause": "{Cause.CLASH}"}}')}) AS VARCHAR)
        WHERE operation_id IN (SELECT operation_id FROM losers)"""
    )
    con.execute("DROP TABLE losers")


def _hand_over(con: Connection, finished: str) -> None:
    """Where a record went over from a person who is no more, drop that person's link and pass list places on."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE handed AS
        SELECT old.cio_id, old.record_id, new.cio_id AS heir
        FROM delivery.links AS new
        SEMI JOIN {finished} AS f ON f.cio_id = new.cio_id
        JOIN delivery.links AS old ON old.destination = new.destination AND old.record_id = new.record_id
             AND old.cio_id <> new.cio_id
        WHERE new.destination = {literal(NAME)}"""
    )
    con.execute(
        f"""UPDATE delivery.members AS m SET cio_id = h.heir FROM handed AS h
        WHERE m.destination = {literal(NAME)} AND m.cio_id = h.cio_id AND m.record_id = h.record_id"""
    )
    forget_shadows(con, NAME, "handed")
    forget_links(con, NAME, "handed")
    con.execute("DROP TABLE handed")


def _lists_in_doubt(con: Connection, context: Context, finished: str) -> None:
    """Put in doubt every list place of people found on another record: a merge's survivor inherits such places."""
    names = ", ".join(f"({literal(a.name)})" for a in listed_audiences(context.activation))
    if not names:
        return
    con.execute(
        f"""INSERT INTO delivery.members
        SELECT {literal(NAME)}, a.name, f.cio_id, f.result_record_id, NULL
        FROM {finished} AS f, (VALUES {names}) AS a(name)
        WHERE f.kind = {literal(LINK.name)} AND f."end" = 'delivered' AND f.result_record_id IS NOT NULL
          AND json_extract_string(f.keys, '$.was_gone') = 'true'
          AND NOT EXISTS (
              SELECT 1 FROM delivery.members AS m WHERE m.destination = {literal(NAME)} AND m.audience = a.name
                AND m.cio_id = f.cio_id AND m.record_id = f.result_record_id)"""
    )
