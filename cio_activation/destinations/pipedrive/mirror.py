"""The local mirror of Pipedrive's persons: 0.02 tokens a person, against 20 for one search.

First a full walk by id; from then on only what changed: ``updated_since`` the watermark, newest first, minus an
overlap for writes that were committed late. The watermark is a time of the vendor's clock: the ``Date`` of the walk's
first answer (without one, the newest ``update_time`` there was), so a person that changes during a walk is read by
the next one.

What is re-read: everything changed since the last walk, which includes what we wrote ourselves, once (10 tokens per
500 persons), and again the persons of the last ``OVERLAP_S`` before the watermark. Both are bounded by changes, not
by people. Our own replies go into the mirror at once (see ``persons.py``) but never move the watermark: a
colleague's edit during a long push would be passed over.

A deletion, or a merge, is not shown by ``updated_since``; how it is learned says ``lost_persons``.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from cio_activation.activation.models import Lane
from cio_activation.activation.outcomes import ACTIVE_FIELD
from cio_activation.delivery.destination import AbsoluteStep, Context
from cio_activation.destinations.pipedrive import lost_persons
from cio_activation.destinations.pipedrive.api import PersonPage, PipedriveApi
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.mirrored import mark_deleted, merge
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, ID
from cio_activation.destinations.pipedrive.values import mirror_row
from cio_activation.errors import ConfigError
from cio_activation.journal.operations import Kind, Operation, Result
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse import tombstones
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.sql import literal

OVERLAP_S = 60
"""Seconds before the watermark that are read again."""


def codes_of(context: Context) -> list[str]:
    """Return the codes of the fields the mirror keeps; ConfigError before the schema step ran."""
    if f"field:{ID}" not in context.catalog:
        raise ConfigError("Pipedrive's fields are not known yet; run the pipedrive schema step first")
    marked = () if context.activation.outreach_outcomes is None else (ACTIVE_FIELD,)
    names = (ID, AUDIENCES, *context.activation.kept_properties(NAME), *marked)
    return [str(context.catalog[f"field:{name}"]) for name in names if f"field:{name}" in context.catalog]


def watermark(context: Context) -> datetime | None:
    """Return where the next walk starts; None if the mirror has to be filled (again) from the beginning.

    Opens the warehouse for one short read; call it before the first vendor call, never during one.
    """
    with Warehouse(
        context.settings.warehouse_path, memory_limit=context.settings.activation_duckdb_memory
    ).read() as con:
        rows = con.execute("SELECT watermark, codes FROM delivery.pipedrive_mirror_state").fetchall()
    return rows[0][0] if rows and rows[0][1] == _read_with(context) else None


def _read_with(context: Context) -> str:
    """Return what the mirror is read with: with something else it has to be filled anew."""
    region = context.activation.workspace.default_region
    return ",".join([*codes_of(context), *([f"phones of {region}"] if context.activation.match.phone else [])])


def since_text(instant: datetime) -> str:
    """Return a watermark as ``updated_since``: RFC 3339, the overlap taken off."""
    return (instant - timedelta(seconds=OVERLAP_S)).strftime("%Y-%m-%dT%H:%M:%SZ")


class WarehouseStep(AbsoluteStep):
    """A step that reads the vendor or works in the warehouse, and sends nothing."""

    kinds: tuple[Kind, ...] = ()
    batch_size = 1
    concurrency = 1

    async def send(
        self,
        client: VendorClient,  # noqa: ARG002
        context: Context,  # noqa: ARG002
        batch: Sequence[Operation],
    ) -> list[Result]:
        """Refuse: these steps plan no operations."""
        raise AssertionError(f"{type(self).__name__} plans no operations but was given {len(batch)}")

    def plan(self, con: Connection, context: Context) -> str | None:  # noqa: ARG002
        """Plan nothing: no vendor takes part."""
        return None

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Fold nothing: no operation was sent."""


class MirrorStep(WarehouseStep):
    """``person_mirror`` (daily) and ``person_mirror_realtime``: one mirror, pulled by both lanes."""

    needs: tuple[str, ...] = ()

    def __init__(self, lane: Lane) -> None:
        self.lane: Lane | None = lane
        self._lane, self.name = lane, mirror_name(lane)
        self.after: tuple[str, ...] = ()
        self.description = (
            "Pulls the persons that changed in Pipedrive into a local table, where people are matched without "
            "paying for searches."
        )

    async def prepare(self, client: VendorClient, context: Context) -> list[dict[str, Any]]:
        """Walk the changed persons into a file of one JSON object a line; memory stays that of one page."""
        start, codes, api = watermark(context), codes_of(context), PipedriveApi(client)
        begun: str | None = None
        if start is None:
            async for page in api.persons(codes, newest_first=True, limit=1):
                begun = _begun(page)
                break
            pages = api.persons(codes)
        else:
            pages = api.persons(codes, since=since_text(start), newest_first=True)
        folder = context.settings.raw_dir / NAME
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"persons-{uuid.uuid4().hex}.ndjson"
        rows = 0
        with path.open("wb") as file:
            async for page in pages:
                begun = begun or _begun(page)
                rows += len(page.rows)
                file.writelines(
                    orjson.dumps(mirror_row(p, context.activation, context.catalog)) + b"\n" for p in page.rows
                )
        found = [{"path": str(path), "watermark": begun, "full": start is None, "rows": rows}]
        # No call is on its way here. A whole walk shows by itself who is gone.
        asked = lost_persons.suspects(context, self._lane, None if start is None else path)
        return found + await lost_persons.ask(api, context, asked)

    def absorb(self, con: Connection, context: Context, rows: Sequence[Mapping[str, Any]]) -> None:
        """Merge the walked persons into the mirror, then delete the file: it holds personal data twice."""
        for row in rows:
            if "path" not in row:
                lost_persons.note(con, context, row)
                continue
            _merge_file(con, context, row)
            con.execute(
                """CREATE OR REPLACE TEMP TABLE pd_state AS SELECT greatest(max(watermark), CAST(? AS TIMESTAMP)) AS w
                FROM delivery.pipedrive_mirror_state""",
                [row["watermark"]],
            )
            con.execute("DELETE FROM delivery.pipedrive_mirror_state")
            con.execute(
                "INSERT INTO delivery.pipedrive_mirror_state SELECT w, ? FROM pd_state",
                [_read_with(context)],
            )
            # If this transaction fails the watermark stays, and the walk is made again.
            Path(row["path"]).unlink()


def mirror_name(lane: Lane) -> str:
    """Return the mirror step's name in ``lane``."""
    return "person_mirror" if lane is Lane.DAILY else "person_mirror_realtime"


def _begun(first: PersonPage) -> str | None:
    """Return the vendor's time at a walk's first answer; without it, of the newest change, if the walk begins there."""
    if first.told_at is not None:
        return first.told_at.isoformat()
    return max((str(p["update_time"]) for p in first.rows if p.get("update_time")), default=None)


def _merge_file(con: Connection, context: Context, row: Mapping[str, Any]) -> None:
    as_of = context.window.as_of if context.window else None
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_seen AS
        SELECT person_id, name, external_id, is_deleted, CAST(update_time AS TIMESTAMP) AS update_time,
               CAST(to_json(list_distinct(emails)) AS VARCHAR) AS emails, primary_email,
               CASE WHEN phones IS NOT NULL THEN CAST(to_json(list_distinct(phones)) AS VARCHAR) END AS phones,
               CAST(to_json(list_sort(audiences)) AS VARCHAR) AS audiences, CAST(fields AS VARCHAR) AS fields,
               CAST(? AS TIMESTAMP) AS mirrored_at
        FROM read_json({literal(row["path"])}, format = 'newline_delimited', columns = {{
            person_id: 'VARCHAR', name: 'VARCHAR', emails: 'VARCHAR[]', primary_email: 'VARCHAR',
            phones: 'VARCHAR[]', external_id: 'VARCHAR', audiences: 'BIGINT[]', fields: 'JSON',
            update_time: 'VARCHAR', is_deleted: 'BOOLEAN'}})
        QUALIFY row_number() OVER (PARTITION BY person_id ORDER BY update_time DESC) = 1""",
        [as_of],
    )
    tombstones.drop_records(con, "pd_seen", "pipedrive", "person_id")
    merge(con, "pd_seen")
    if row["full"]:
        # Whatever a whole walk did not show is gone, unless it was made or changed while we walked.
        con.execute(
            """CREATE OR REPLACE TEMP TABLE pd_unseen AS SELECT person_id FROM delivery.pipedrive_persons
            WHERE update_time < CAST(? AS TIMESTAMP) AND person_id NOT IN (SELECT person_id FROM pd_seen)""",
            [row["watermark"]],
        )
        mark_deleted(con, "SELECT person_id FROM pd_unseen")
        con.execute("DROP TABLE pd_unseen")
    con.execute("DROP TABLE pd_seen")
