"""What HubSpot's answers to look-ups of contacts come to: ends of operations, with all that the fold decides by."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cio_activation.destinations.hubspot import api
from cio_activation.destinations.hubspot.values import emails_of, stamp_of
from cio_activation.journal.operations import End, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.addresses import email as normalized

MERGED = "hs_merged_object_ids"
PROPERTIES = ("email", "hs_additional_emails", api.KEY, MERGED)
"""What is read of a contact."""


def hashed(address: str) -> str:
    """Return what stands for an address in the observations of a look-up; DuckDB's ``md5`` gives the same."""
    return hashlib.md5(address.encode(), usedforsecurity=False).hexdigest()


async def known_records(
    client: VendorClient, batch: Sequence[Operation]
) -> tuple[dict[str, api.Row], dict[str, str], set[str]]:
    """Read the records of ``batch`` that may be gone.

    Returns operation id -> row of those that are there, -> record id of those that are surely not under that id, and
    the operations of which the answer does not say either.
    """
    known = {o.operation_id: str(o.keys["known"]) for o in batch if o.keys.get("known")}
    if not known:
        return {}, {}, set()
    reply = await api.read_contacts(client, list(dict.fromkeys(known.values())), PROPERTIES)
    rows = {str(row.get("id")): row for row in reply.results}
    there = {operation: rows[record_id] for operation, record_id in known.items() if record_id in rows}
    # An id that was merged away may be answered with its survivor's row, under the survivor's id.
    merged = {i for row in reply.results for i in merged_ids(row)}
    lost = {o: i for o, i in known.items() if o not in there and (i in reply.missing or i in merged)}
    return there, lost, known.keys() - there.keys() - lost.keys()


def merged_ids(row: api.Row) -> tuple[str, ...]:
    """Return the ids of the records that were merged into a contact."""
    shown = str((row.get("properties") or {}).get(MERGED) or "")
    return tuple(i for i in shown.split(";") if i)


def seen(operation: Operation, row: api.Row) -> Result:
    """Return the end of a look at a record that is still there: nothing changes."""
    stamped = "true" if stamp_of(row) == operation.cio_id else "false"
    observed = {"seen": "true", "stamped": stamped, "matched_by": operation.keys.get("matched_by")}
    return Result(operation.operation_id, End.DELIVERED, record_id=str(row["id"]), observed=observed)


def found(operation: Operation, row: api.Row, how: str, lost: str | None, reply: api.BatchReply) -> Result:
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


def not_found(
    operation: Operation, lost: str | None, in_bin: bool | None, ambiguous: list[str] | None, reply: api.BatchReply
) -> Result:
    """Return the end of a look-up that found nothing; ``ambiguous``: the records whose number is therefore nobody's."""
    observed: dict[str, object] = {"stamped": "false"}
    if in_bin is not None:
        observed["in_bin"] = in_bin
    if lost is not None:
        observed["lost"] = lost
    if ambiguous is not None:
        observed["ambiguous"] = ambiguous
    return Result(
        operation.operation_id, End.DELIVERED, status=reply.status, request_id=reply.request_id, observed=observed
    )
