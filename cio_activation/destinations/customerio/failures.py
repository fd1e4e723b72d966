"""Writes that Customer.io took and then did not apply: 200 means accepted only.

It notes them as activities of the type ``failed_attribute_change``, for 30 days (App API, "List activities"): a person
who has 300 attributes already gets no further one. Read once a day; they are planned again, and listed meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.customerio.client import CustomerIO
from cio_activation.delivery.destination import Context
from cio_activation.destinations.common.differing_emails import ask_warehouse
from cio_activation.destinations.customerio.config import settings_of
from cio_activation.destinations.customerio.desired import attributes
from cio_activation.transport.errors import VendorError
from cio_activation.transport.http import Pacer
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.tables import OUTREACH_FLAGS

PAGE, PAGES = 100, 10
"""Rows of a page (the API's maximum), and pages of one attribute that are read: the calls do not grow with people."""
CLOCKS_APART_S = 60
"""So much may Customer.io's clock be behind ours, for a note to be about the write that is known here."""
log = logging.getLogger("cio_activation.customerio.failures")


async def read(pacer: Pacer, context: Context) -> list[dict[str, Any]]:
    """Return who (``cio_id``) was noted when (``noted_at``, seconds since 1970); nothing where that cannot be read.

    The first row is of nobody, so that a reading that found nobody is a reading too.
    """
    if context.settings.customerio_app_api_key is None:
        return []
    prefix = settings_of(context.activation).attribute_prefix
    rows: list[dict[str, Any]] = [{"cio_id": None, "noted_at": None}]
    async with CustomerIO(context.settings, pacer) as vendor:
        try:
            for name in attributes(context.activation):
                rows += [_row(activity) for activity in await _activities(vendor, f"{prefix}{name}")]
        except VendorError as error:
            log.warning("what became of writes that were accepted is not known: %s", error)
            return []
    return rows


def note(con: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put in doubt whose last write was noted as not applied; forget the notes that a later write has outlived."""
    import pyarrow as pa

    columns = {"cio_id": pa.string(), "noted_at": pa.int64()}
    con.register("noted_rows", pa.table({n: pa.array([row[n] for row in rows], kind) for n, kind in columns.items()}))
    con.execute(
        "CREATE OR REPLACE TEMP TABLE noted AS SELECT cio_id, max(noted_at) AS noted_at FROM noted_rows GROUP BY 1"
    )
    con.unregister("noted_rows")
    con.execute(f"UPDATE {OUTREACH_FLAGS} SET failed_at = NULL WHERE failed_at < written_at - {CLOCKS_APART_S}")
    con.execute(
        f"""UPDATE {OUTREACH_FLAGS} AS s SET failed_at = n.noted_at, in_doubt = true
        FROM noted AS n WHERE n.cio_id = s.cio_id AND n.noted_at >= s.written_at - {CLOCKS_APART_S}"""
    )
    con.execute("DROP TABLE noted")


def notices(context: Context) -> list[str]:
    """Return a sentence on those of whom it is so now; nothing where there is no home yet."""
    who = f"FROM {OUTREACH_FLAGS} WHERE failed_at IS NOT NULL"
    found = ask_warehouse(context.settings, f"SELECT count(*) {who} HAVING count(*) > 0", [OUTREACH_FLAGS])
    return [
        f"Customer.io took the outreach attributes of {people} people and did not apply them; a person has at most 300 "
        f'attributes there. They are written again once a day. `cio-activation sql "SELECT cio_id {who}"` lists them'
        for (people,) in found
    ]


async def _activities(vendor: CustomerIO, attribute: str) -> list[Any]:
    found: list[Any] = []
    start: str | None = None
    for _ in range(PAGES):
        page, start = await vendor.read(
            "/v1/activities", "activities.list", "activities",
            type="failed_attribute_change", name=attribute, limit=PAGE, start=start,
        )  # fmt: skip
        found += page
        if start is None:
            break
    return found


def _row(activity: Mapping[str, Any]) -> dict[str, Any]:
    who = activity.get("customer_identifiers") or {}
    return {"cio_id": who.get("cio_id"), "noted_at": int(activity.get("timestamp") or 0)}
