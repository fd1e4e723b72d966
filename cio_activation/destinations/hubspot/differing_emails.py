"""Whose e-mail address differs between Customer.io and HubSpot: one call, so of a hundred people at most.

Those first of whom it is likely: matched by something else, or with another address since.
"""

from __future__ import annotations

from cio_activation.delivery.destination import Context
from cio_activation.destinations.common import differing_emails
from cio_activation.destinations.hubspot import api
from cio_activation.destinations.hubspot.config import NAME
from cio_activation.destinations.hubspot.values import emails_of
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sql import literal


async def advice(client: VendorClient, context: Context) -> list[str]:
    """Return who, if anybody; a contact without any address does not count."""
    linked = differing_emails.ask_warehouse(
        context.settings,
        f"""SELECT l.cio_id, l.record_id, p.email, count(*) OVER () AS people FROM delivery.links AS l
        JOIN identity.persons AS p ON p.cio_id = l.cio_id
        WHERE l.destination = {literal(NAME)} AND l.record_id IS NOT NULL AND p.email IS NOT NULL
        ORDER BY l.looked_up_email IS NOT DISTINCT FROM p.email AND l.matched_by IN ('email', 'created'), l.cio_id
        LIMIT {api.MAX_BATCH}""",
        ("delivery.links", "identity.persons"),
    )
    if not linked:
        return []
    reply = await api.read_contacts(
        client, [record_id for _, record_id, *_ in linked], ("email", "hs_additional_emails")
    )
    there = {str(row.get("id")): emails_of(row) for row in reply.results}
    people = [
        cio_id for cio_id, record_id, email, _ in linked if there.get(record_id) and email not in there[record_id]
    ]
    everybody = int(linked[0][3])
    of_whom = "" if everybody <= len(linked) else f" (of {len(linked)} of {everybody:,} who were looked at)"
    return differing_emails.sentence(context.activation, NAME, "HubSpot", people, of_whom)
