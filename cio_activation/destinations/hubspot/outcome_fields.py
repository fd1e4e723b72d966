"""HubSpot's fields that humans write: read with the contacts, told from what stood there by their history, emptied.

History is asked for only where something is new: HubSpot takes 50 contacts a call with it, 100 without ("The maximum
number of inputs supported in a batch request for property histories is 50", as seen in PipedreamHQ/pipedream#8462).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from cio_activation.activation.models import Activation, Lane
from cio_activation.activation.outcomes import ACTIVE_FIELD, DATE_FIELD, HUMAN_FIELDS, OUTCOME_FIELD
from cio_activation.delivery.destination import Context
from cio_activation.delivery.outcomes import OutcomeFields, OutcomesAsked
from cio_activation.destinations.common import outcome_fields
from cio_activation.destinations.hubspot import api, outcome_api, writes
from cio_activation.destinations.hubspot.config import NAME
from cio_activation.destinations.hubspot.task_rows import instant
from cio_activation.journal.operations import Operation, Result
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient

log = logging.getLogger("cio_activation.hubspot.outcomes")
LAG = timedelta(minutes=10)
"""Before the last look: search shows a change some seconds late, and clocks differ."""


class OutcomeFieldsStep(outcome_fields.OutcomeFieldsStep):
    """Empties them by record id, 100 contacts a call."""

    batch_size = api.MAX_BATCH
    concurrency = api.CONCURRENCY

    def __init__(self, activation: Activation, lane: Lane) -> None:
        super().__init__(activation, NAME, lane, (f"properties_{lane.value}",))

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Write one batch of empty values."""
        return await writes.update(client, context.activation.workspace.prefix, batch, ())

    async def look_up(self, client: VendorClient, context: Context, unanswered: Sequence[Operation]) -> list[Result]:
        """Read the contacts, 100 a call, and see whether the fields are empty."""
        return await writes.look_up(client, context.activation.workspace.prefix, unanswered)


def names(context: Context) -> dict[str, str]:
    """Return the fields that the account has, logical name -> its name there; none where outcomes are not read."""
    if context.activation.outreach_outcomes is None:
        return {}
    return {n: str(context.catalog[f"field:{n}"]) for n in HUMAN_FIELDS if f"field:{n}" in context.catalog}


def fields_of(row: api.Row, known: Mapping[str, str]) -> OutcomeFields | None:
    """Return what a contact's fields hold; None where the account has none, so that nothing was asked for."""
    values = row.get("properties") or {}
    if OUTCOME_FIELD not in known:
        return None
    return OutcomeFields(
        str(row.get("id")),
        values.get(known[OUTCOME_FIELD]) or None,
        _day(values.get(known.get(DATE_FIELD, ""))),
        values.get(known.get(ACTIVE_FIELD, "")) == "true",
    )


async def outcomes(client: VendorClient, context: Context, asked: OutcomesAsked) -> list[OutcomeFields]:
    """Return what the fields of these contacts hold, and of those that search shows as active since the last look."""
    known = names(context)
    if OUTCOME_FIELD not in known:
        return []
    found: dict[str, OutcomeFields] = {}
    if ACTIVE_FIELD in known:
        since = None if asked.since is None else asked.since - LAG
        for row in await _active(client, known, since):
            if (fields := fields_of(row, known)) is not None:
                found[fields.record_id] = fields
    wanted = list(dict.fromkeys(asked.records))
    for start in range(0, len(wanted), api.MAX_BATCH):
        reply = await api.read_contacts(client, wanted[start : start + api.MAX_BATCH], tuple(known.values()))
        for row in reply.results:
            if (fields := fields_of(row, known)) is not None:
                found[fields.record_id] = fields
    new = [i for i in wanted if i in found and _is_new(found[i], asked.known.get(i))]
    for start in range(0, len(new), outcome_api.MAX_WITH_HISTORY):
        written = await _written(client, new[start : start + outcome_api.MAX_WITH_HISTORY], known)
        for record_id, at in written.items():
            fields = found[record_id]
            found[record_id] = OutcomeFields(record_id, fields.outcome, fields.outcome_on, fields.active, at)
    return list(found.values())


async def _active(client: VendorClient, known: Mapping[str, str], since: datetime | None) -> list[api.Row]:
    """Return the contacts that search shows as active. Where it is refused nobody else waits for that."""
    try:
        return await outcome_api.active_contacts(client, known[ACTIVE_FIELD], tuple(known.values()), since)
    except Rejected as error:
        log.warning("who is marked as active in HubSpot is not known: %s", error)
        return []


def _is_new(fields: OutcomeFields, known: OutcomeFields | None) -> bool:
    if fields.outcome is None:
        return False
    return known is None or (fields.outcome, fields.outcome_on) != (known.outcome, known.outcome_on)


async def _written(client: VendorClient, ids: Sequence[str], known: Mapping[str, str]) -> dict[str, datetime]:
    """Return when outcome or day of each contact was last written, where HubSpot tells."""
    watched = [known[name] for name in (OUTCOME_FIELD, DATE_FIELD) if name in known]
    found: dict[str, datetime] = {}
    for row in await outcome_api.histories(client, ids, watched):
        versions = [one for name in watched for one in (row.get("propertiesWithHistory") or {}).get(name) or ()]
        times = [at for one in versions if (at := instant(one.get("timestamp"))) is not None]
        if times and str(row.get("id")) in ids:
            found[str(row["id"])] = max(times)
    return found


def _day(value: object) -> date | None:
    """Return a date as HubSpot shows it: ``2026-11-25``, or milliseconds since the epoch at midnight UTC."""
    text = str(value or "").strip()
    try:
        return date.fromisoformat(text[:10]) if text and not text.isdecimal() else _of_instant(text)
    except ValueError:
        return None


def _of_instant(text: str) -> date | None:
    at = instant(text)
    return None if at is None else at.date()
