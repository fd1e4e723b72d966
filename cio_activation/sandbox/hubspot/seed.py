"""The properties a HubSpot account has from the start, and its seeded contacts."""

from __future__ import annotations

import gc
from typing import Any

from cio_activation.sandbox.hubspot.records import STAGES, Records
from cio_activation.sandbox.hubspot.schema import PropertySet
from cio_activation.sandbox.hubspot.tasks import STATUSES
from cio_activation.sandbox.hubspot.values import email_of

FREEZE_ABOVE = 50_000
_COLUMNS = (("first_name", "firstname"), ("last_name", "lastname"), ("phone", "phone"))
_TEXTS = (
    *("email", "firstname", "lastname", "phone", "mobilephone", "company", "jobtitle"),
    *("address", "city", "state", "zip", "country", "website"),
)
_SYSTEM = (("hs_object_id", "number"), ("hs_merged_object_ids", "string"), ("hs_additional_emails", "string"))


def contact_properties(limit: int, read_delay_s: float) -> PropertySet:
    """Return the built-in contact properties (those a CRM sync may meet)."""
    definitions = PropertySet("contactinformation", limit, read_delay_s)
    for name in _TEXTS:
        definitions.built_in(name, "string", "phonenumber" if "phone" in name else "text")
    definitions.built_in("lifecyclestage", "enumeration", "radio", *STAGES)
    definitions.built_in(
        "hs_lead_status", "enumeration", "radio", "NEW", "OPEN", "IN_PROGRESS", "CONNECTED", "UNQUALIFIED"
    )
    definitions.built_in("hubspot_owner_id", "string", "text")
    for name, type_ in _SYSTEM:
        definitions.built_in(name, type_, "number" if type_ == "number" else "text", read_only=True)
    for name in ("createdate", "lastmodifieddate"):
        definitions.built_in(name, "datetime", "date", read_only=True)
    return definitions


def task_properties(limit: int, read_delay_s: float) -> PropertySet:
    """Return the built-in task properties."""
    definitions = PropertySet("taskinformation", limit, read_delay_s)
    definitions.built_in("hs_timestamp", "datetime", "date")
    definitions.built_in("hs_task_subject", "string", "text")
    definitions.built_in("hs_task_body", "string", "html")
    definitions.built_in("hs_task_status", "enumeration", "select", *STATUSES)
    definitions.built_in("hs_task_priority", "enumeration", "select", "LOW", "MEDIUM", "HIGH", "NONE")
    definitions.built_in("hs_task_type", "enumeration", "select", "EMAIL", "CALL", "TODO")
    definitions.built_in("hs_task_reminders", "string", "text")
    definitions.built_in("hubspot_owner_id", "string", "text")
    definitions.built_in("hs_task_completion_date", "datetime", "date", read_only=True)
    definitions.built_in("hs_object_id", "number", "number", read_only=True)
    for name in ("hs_createdate", "hs_lastmodifieddate"):
        definitions.built_in(name, "datetime", "date", read_only=True)
    return definitions


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
