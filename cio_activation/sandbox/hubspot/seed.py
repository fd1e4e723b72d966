"""The properties a HubSpot account has from the start, and its seeded contacts."""

from __future__ import annotations

import gc
from typing import Any

from cio_activation.sandbox.hubspot.phones import SEARCHABLE_PHONES
from cio_activation.sandbox.hubspot.record_rules import STATUSES
from cio_activation.sandbox.hubspot.records import STAGES, Records
from cio_activation.sandbox.hubspot.schema import PropertySet
from cio_activation.sandbox.hubspot.values import email_of

FREEZE_ABOVE = 50_000
_COLUMNS = (("first_name", "firstname"), ("last_name", "lastname"), ("phone", "phone"))
_TEXTS = (
    *("email", "firstname", "lastname", "phone", "mobilephone", "company", "jobtitle"),
    *("address", "city", "state", "zip", "country", "website"),
)
_GROUPS = {
    "contacts": "contactinformation",
    "tasks": "taskinformation",
    "notes": "noteinformation",
    "deals": "dealinformation",
}


def built_in_properties(limit: int, read_delay_s: float) -> dict[str, PropertySet]:
    """Return the built-in properties of every object type (those a CRM sync may meet)."""
    made = {name: PropertySet(group, limit, read_delay_s) for name, group in _GROUPS.items()}
    _contacts(made["contacts"])
    _tasks(made["tasks"])
    _deals(made["deals"])
    made["notes"].built_in("hs_note_body", "string", "html")
    for type_, definitions in made.items():
        if type_ in ("tasks", "notes"):
            definitions.built_in("hs_timestamp", "datetime", "date")
        definitions.built_in("hubspot_owner_id", "string", "text")
        definitions.built_in("hs_object_id", "number", "number", read_only=True)
        made_name = "createdate" if type_ in ("contacts", "deals") else "hs_createdate"
        changed_name = "lastmodifieddate" if type_ == "contacts" else "hs_lastmodifieddate"
        for name in (made_name, changed_name):
            definitions.built_in(name, "datetime", "date", read_only=True)
    return made


def _contacts(definitions: PropertySet) -> None:
    for name in _TEXTS:
        definitions.built_in(name, "string", "phonenumber" if "phone" in name else "text")
    definitions.built_in("lifecyclestage", "enumeration", "radio", *STAGES)
    definitions.built_in(
        "hs_lead_status", "enumeration", "radio", "NEW", "OPEN", "IN_PROGRESS", "CONNECTED", "UNQUALIFIED"
    )
    for name in ("hs_merged_object_ids", "hs_additional_emails", *SEARCHABLE_PHONES):
        definitions.built_in(name, "string", "text", read_only=True)
    for name in ("notes_last_contacted", "notes_last_updated", "hs_last_sales_activity_timestamp"):
        definitions.built_in(name, "datetime", "date", read_only=True)
    definitions.built_in("num_associated_deals", "number", "number", read_only=True)
    definitions.built_in("hs_sequences_is_enrolled", "bool", "booleancheckbox", "true", "false", read_only=True)


def _tasks(definitions: PropertySet) -> None:
    definitions.built_in("hs_task_subject", "string", "text")
    definitions.built_in("hs_task_body", "string", "html")
    definitions.built_in("hs_task_status", "enumeration", "select", *STATUSES)
    definitions.built_in("hs_task_priority", "enumeration", "select", "LOW", "MEDIUM", "HIGH", "NONE")
    definitions.built_in("hs_task_type", "enumeration", "select", "EMAIL", "CALL", "TODO")
    definitions.built_in("hs_task_reminders", "string", "text")
    definitions.built_in("hs_queue_membership_ids", "string", "text")
    definitions.built_in("hs_task_completion_date", "datetime", "date", read_only=True)


def _deals(definitions: PropertySet) -> None:
    for name in ("dealname", "dealstage", "pipeline", "description"):
        definitions.built_in(name, "string", "text")
    definitions.built_in("amount", "number", "number")
    definitions.built_in("closedate", "datetime", "date")


def seed_contacts(records: Records, rows: list[dict[str, Any]]) -> None:
    """Make the contacts that exist already; search shows them at once."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        records.seed((_values(row), row.get("additional_emails") or []) for row in rows)
    finally:
        if collecting:
            gc.enable()
    if len(rows) > FREEZE_ABOVE:
        # A full collection would walk millions of live objects and stall answers for a second.
        gc.freeze()


def _values(row: dict[str, Any]) -> dict[str, str]:
    values = {name: str(row[column]) for column, name in _COLUMNS if row.get(column)}
    if row.get("email"):
        values["email"] = email_of(row["email"])
    return values
