"""Merging two contacts: into a new record, or into the primary one where the account has that setting."""

from __future__ import annotations

from cio_activation.sandbox.hubspot.errors import Refusal
from cio_activation.sandbox.hubspot.record import Record
from cio_activation.sandbox.hubspot.records import Records

MERGED_MAX = 250


def merge(records: Records, primary: Record, other: Record) -> Record:
    """Merge ``other`` into ``primary``, whose values win; return what is left: a new record, or the primary one.

    A new one consumes both old ids; the other way is a beta (fact sheet, section 4).
    """
    keeps = records.settings.merge_keeps_primary
    merged = (*primary.merged, *(() if keeps else (primary.id,)), *other.merged, other.id)
    if len(merged) > MERGED_MAX:
        raise Refusal(414, "VALIDATION_ERROR", f"More than {MERGED_MAX} merged identities")
    emails = [primary.values.get("email"), *primary.emails, other.values.get("email"), *other.emails]
    gone = [other] if keeps else [primary, other]
    for record in gone:
        records.index.changed(record.id, record)
        records.take_out(record)
    if keeps:
        heir = primary
        records.update(heir, {n: v for n, v in other.values.items() if n not in primary.values})
    else:
        heir = records.create({**other.values, **primary.values}, created=min(primary.created, other.created))
        records.update(heir, {})
    heir.merged = merged
    records.add_emails(heir, [e for e in emails if e and e != heir.values.get("email")])
    for old in merged:
        records.merged_away[old] = heir.id
    records.tell([record.id for record in gone], heir.id)
    return heir
