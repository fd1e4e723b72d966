"""Whose e-mail address differs between Customer.io and Pipedrive, by the mirror: costs nothing."""

from __future__ import annotations

from cio_activation.delivery.destination import Context
from cio_activation.destinations.common import differing_emails
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.warehouse.sql import literal


def advice(context: Context) -> list[str]:
    """Return who, if anybody; a person without any address in Pipedrive does not count."""
    rows = differing_emails.ask_warehouse(
        context.settings,
        f"""SELECT l.cio_id FROM delivery.links AS l
        JOIN identity.persons AS p ON p.cio_id = l.cio_id
        JOIN delivery.pipedrive_persons AS m ON m.person_id = l.record_id
        WHERE l.destination = {literal(NAME)} AND p.email IS NOT NULL AND NOT m.is_deleted AND m.emails <> '[]'
          AND NOT list_contains(from_json(m.emails, '["VARCHAR"]'), p.email)
        ORDER BY l.cio_id""",
        ("delivery.links", "identity.persons", "delivery.pipedrive_persons"),
    )
    return differing_emails.sentence(context.activation, NAME, "Pipedrive", [cio_id for (cio_id,) in rows], "")
