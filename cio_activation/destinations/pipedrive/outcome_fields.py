"""Pipedrive's fields that humans write: read by id, a hundred a call, or with whatever shows the person; emptied.

Pipedrive tells no history of a field: what is new is told from what was read before. Whether outreach is marked as
active comes with the mirror's walk, which reads everybody who changed anyway.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.outcomes import ACTIVE_FIELD, DATE_FIELD, HUMAN_FIELDS, OUTCOME_FIELD
from cio_activation.delivery.destination import Context
from cio_activation.delivery.outcomes import OutcomeFields, OutcomesAsked
from cio_activation.destinations.common import outcome_fields
from cio_activation.destinations.common.records import GONE
from cio_activation.destinations.pipedrive.api import CONCURRENCY, GONE_STATUS, MAX_IDS, TOKENS, PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.values import held_text
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal


class OutcomeFieldsStep(outcome_fields.OutcomeFieldsStep):
    """Empties them, one call and five tokens a person."""

    concurrency = CONCURRENCY
    tokens_per_call = TOKENS["persons.update"]

    def __init__(self, activation: Activation, lane: Lane) -> None:
        super().__init__(activation, NAME, lane, (f"fields_{lane}",))

    def refresh(self, con: Connection, context: Context) -> None:  # noqa: ARG002
        """Take over from the mirror who is marked as active; of their outcome that tells nothing."""
        place, path = literal(NAME), literal(f"$.{ACTIVE_FIELD}")
        table, mirror = outcome_fields.FIELDS, "delivery.pipedrive_persons"
        con.execute(
            f"""UPDATE {table} AS f SET active = json_extract_string(p.fields, {path}) = 'true'
            FROM {mirror} AS p WHERE f.destination = {place} AND p.person_id = f.record_id AND f.active
                AND (p.is_deleted OR json_extract_string(p.fields, {path}) IS DISTINCT FROM 'true')"""
        )
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE marked AS
            SELECT person_id AS record_id FROM {mirror}
            WHERE NOT is_deleted AND contains(fields, {literal(f'"{ACTIVE_FIELD}":"true"')})"""
        )
        con.execute(
            f"""UPDATE {table} SET active = TRUE WHERE destination = {place} AND NOT coalesce(active, FALSE)
                AND record_id IN (SELECT record_id FROM marked)"""
        )
        con.execute(
            f"""INSERT INTO {table} BY NAME
            SELECT {place} AS destination, record_id, TRUE AS active FROM marked
            WHERE record_id NOT IN (SELECT record_id FROM {table} WHERE destination = {place})"""
        )
        con.execute("DROP TABLE marked")

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Send each operation of ``batch`` (of one)."""
        empty = dict.fromkeys(codes(context).values())
        results = []
        for operation in batch:
            try:
                await PipedriveApi(client).update_person(str(operation.record_id), empty)
                results.append(Result(operation.operation_id, End.DELIVERED))
            except Rejected as error:
                gone = error.status in GONE_STATUS
                results.append(
                    Result(
                        operation.operation_id, End.REJECTED, GONE if gone else f"refused with {error.status}",
                        status=error.status, request_id=error.request_id,
                    )
                )  # fmt: skip
        return results


def codes(context: Context) -> dict[str, str]:
    """Return the fields that the company has, logical name -> code; none where outcomes are not read."""
    if context.activation.outreach_outcomes is None:
        return {}
    return {n: str(context.catalog[f"field:{n}"]) for n in HUMAN_FIELDS if f"field:{n}" in context.catalog}


def fields_of(person: Mapping[str, Any], known: Mapping[str, str], catalog: Mapping[str, Any]) -> OutcomeFields | None:
    """Return what a person's fields hold; None where the answer does not show them."""
    values = person.get("custom_fields")
    if OUTCOME_FIELD not in known or not isinstance(values, Mapping) or known[OUTCOME_FIELD] not in values:
        return None
    texts = {name: held_text(name, values.get(code), catalog) for name, code in known.items()}
    active = texts.get(ACTIVE_FIELD) == "true"
    return OutcomeFields(str(person["id"]), texts[OUTCOME_FIELD] or None, _day(texts.get(DATE_FIELD)), active)


async def outcomes(client: VendorClient, context: Context, asked: OutcomesAsked) -> list[OutcomeFields]:
    """Return what the fields of these persons hold; 10 tokens for each hundred."""
    known, api = codes(context), PipedriveApi(client)
    if OUTCOME_FIELD not in known:
        return []
    wanted, found = list(dict.fromkeys(asked.records)), []
    for start in range(0, len(wanted), MAX_IDS):
        page = await api.engagement(wanted[start : start + MAX_IDS], (), tuple(known.values()))
        shown = (fields_of(person, known, context.catalog) for person in page.rows if not person.get("is_deleted"))
        found += [fields for fields in shown if fields is not None]
    return found


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text[:10]) if text else None
    except ValueError:
        return None
