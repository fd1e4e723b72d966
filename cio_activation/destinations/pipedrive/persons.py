"""Writes people: creates the missing, patches our fields on the others; one call, five tokens a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import FOUND_DONE, AbsoluteStep, Context, Limit, Step
from cio_activation.delivery.fields import Keep, ensure_shadow, fold_values
from cio_activation.delivery.links import fold_links
from cio_activation.delivery.ownership import examine
from cio_activation.delivery.unmatched import note_gone, unsettled
from cio_activation.destinations.common.kinds import CLEAR, CREATE, RECORDS
from cio_activation.destinations.common.records import GONE
from cio_activation.destinations.pipedrive.api import CONCURRENCY, FIELDS_AT_ONCE, TOKENS, PipedriveApi
from cio_activation.destinations.pipedrive.changes import (
    field_tables,
    lane_columns,
    plan_fields,
    refresh_fields,
    stage_fields,
)
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.limits import value_limits
from cio_activation.destinations.pipedrive.matching import LinksStep, links_name, release
from cio_activation.destinations.pipedrive.mirror import MirrorStep, codes_of, since_text, watermark
from cio_activation.destinations.pipedrive.mirrored import mark_deleted, merge
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, ID, audience_labels
from cio_activation.destinations.pipedrive.sets import flag_movements
from cio_activation.destinations.pipedrive.values import NotInCatalog, custom_fields, held, named_fields, new_person
from cio_activation.journal.operations import Cause, End, Kind, Operation, Result
from cio_activation.transport.errors import Rejected
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection, Warehouse
from cio_activation.warehouse.sql import literal, scalar

_GONE_STATUS = (404, 410)


class FieldsStep(AbsoluteStep):
    """``fields_<lane>``: the lane's state fields and the shared set of audiences."""

    kinds: tuple[Kind, ...] = RECORDS
    batch_size = 1
    concurrency = CONCURRENCY
    tokens_per_call = TOKENS["persons.update"]
    late_creation_doubles = True  # there is no unique key to create by
    flags: tuple[str, ...] = (ID, AUDIENCES)

    def __init__(self, lane: Lane, audiences: Sequence[str]) -> None:
        self._lane, self._audiences = lane, tuple(audiences)
        self.lane: Lane | None = lane
        self.name = fields_name(lane)
        self.after: tuple[str, ...] = (links_name(lane),)
        self.needs: tuple[str, ...] = (
            "identity/persons",
            f"state/{lane.value}_properties",
            *(f"audience/{name}" for name in audiences),
        )
        self.description = (
            "Writes state fields and audiences to Pipedrive, one call per changed person, and creates the people "
            "that are missing there."
        )

    def reads(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002
        """Compare state and audiences with the shadow and, of their records, the mirror."""
        return field_tables(self._lane)

    def refresh(self, con: Connection, context: Context) -> None:
        """Bring the shadows up to date with the fields that there are."""
        refresh_fields(con, context, self._lane)

    def stage(self, con: Connection, context: Context) -> None:
        """Work out what records hold of ours, and what they should."""
        stage_fields(con, context, self._lane)

    def plan(self, con: Connection, context: Context) -> str | None:
        """Return the changes; exits from audiences first."""
        return plan_fields(
            con, context, self._lane, Keep(NAME, self.name, context.activation.kept_properties(NAME, self._lane))
        )

    def limits(self, context: Context) -> Mapping[str, Limit]:
        """Return what the types of our fields take."""
        return value_limits(context, self._lane)

    def objects(self, context: Context) -> tuple[str, ...]:
        """Need our id, the lane's state fields, and the set of audiences where any is delivered."""
        shared = (ID, AUDIENCES) if audience_labels(context.activation) else (ID,)
        return tuple(f"field:{name}" for name in (*shared, *lane_columns(context, self._lane)))

    def movements(self, con: Connection, context: Context, planned: str) -> str | None:  # noqa: ARG002
        """Count who enters and who leaves the audiences of both lanes, by what the records hold now."""
        return flag_movements(planned)

    async def send(self, client: VendorClient, context: Context, batch: Sequence[Operation]) -> list[Result]:
        """Send each operation of ``batch`` (of one); what a human changed, by the mirror, is left out."""
        # Both lanes' fields: who left Customer.io is emptied whole by the lane that notices first.
        keeps = context.activation.kept_properties(NAME)
        examined = examine(batch, keeps, {o.operation_id: o.current for o in batch})
        return examined.told([await _send(PipedriveApi(client), context, o) for o in examined.write])

    async def look_up(self, client: VendorClient, context: Context, unanswered: Sequence[Operation]) -> list[Result]:
        """Read each person, one token per 15 fields, and see whether it holds what was written."""
        return await look_up(PipedriveApi(client), context, unanswered)

    async def recover(self, client: VendorClient, context: Context, open: Sequence[Operation]) -> list[Result]:
        """Adopt creations whose answer was lost, by our id on the person; give absolute writes back.

        Looks into the mirror, then into what changed since it was pulled, never into search: its index lags.
        """
        in_doubt = [o for o in open if o.kind.creates]
        found = await _find(client, context, {o.cio_id for o in in_doubt}) if in_doubt else {}
        adopted = [o for o in in_doubt if o.cio_id in found]
        results = await super().recover(client, context, [o for o in open if o not in adopted])
        for o in adopted:
            record_id, observed = found[o.cio_id]
            results.append(Result(o.operation_id, End.DELIVERED, "found at the vendor", record_id, observed=observed))
        return results

    def fold(self, con: Connection, context: Context, finished: str) -> None:
        """Update shadow, links and mirror; let go of records that are gone or were given up."""
        columns = lane_columns(context, self._lane)
        fold_values(con, ensure_shadow(con, NAME, str(self._lane), columns), columns, self.kinds, finished)
        fold_links(con, NAME, self.kinds, finished)
        _fold_mirror(con, finished)
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE pd_lost AS
            SELECT cio_id, record_id, max(ended_at) AS lost_at FROM {finished}
            WHERE record_id IS NOT NULL
              AND (("end" = 'rejected' AND json_exists(observed, '$.gone'))
                   OR ("end" = 'delivered' AND kind = {literal(CLEAR.name)} AND json_exists(payload, '$.{ID}')))
            GROUP BY ALL"""
        )
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE pd_gone AS
            SELECT cio_id, record_id, max(window_end) AS noticed_at FROM {finished}
            WHERE record_id IS NOT NULL AND "end" = 'rejected' AND json_exists(observed, '$.gone') GROUP BY ALL"""
        )
        note_gone(con, NAME, "pd_gone")
        release(con, "pd_lost")
        con.execute("DROP TABLE pd_lost; DROP TABLE pd_gone")

    def follow_up(self, con: Connection, context: Context) -> Sequence[Step]:  # noqa: ARG002
        """Look for those at once whose person was found gone: it may have been merged; write to what outlived it."""
        if not scalar(con, f"SELECT EXISTS ({unsettled(NAME)})"):
            return ()
        return (MirrorStep(self._lane), LinksStep(self._lane), FieldsStep(self._lane, self._audiences))


def fields_name(lane: Lane) -> str:
    """Return the fields step's name in ``lane``."""
    return f"fields_{lane}"


async def look_up(api: PipedriveApi, context: Context, unanswered: Sequence[Operation]) -> list[Result]:
    """Return DELIVERED for the writes to known persons who hold all of it by now; reads only."""
    results = []
    for operation in unanswered:
        try:
            wanted = custom_fields(operation.payload, context.activation, context.catalog)
            shown = await _shown(api, str(operation.record_id), [*dict.fromkeys([*codes_of(context), *wanted])])
        except (NotInCatalog, Rejected):
            continue  # what there is to say of it, the next try says
        if not shown.get("is_deleted") and all(_same(shown["custom_fields"].get(c), v) for c, v in wanted.items()):
            observed = held(shown, context.activation, context.catalog)
            results.append(Result(operation.operation_id, End.DELIVERED, FOUND_DONE, observed=observed))
    return results


async def _shown(api: PipedriveApi, person_id: str, codes: Sequence[str]) -> dict[str, Any]:
    """Return a person with these custom fields; a call shows ``FIELDS_AT_ONCE`` of them."""
    person: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for start in range(0, len(codes), FIELDS_AT_ONCE):
        person = await api.person(person_id, codes[start : start + FIELDS_AT_ONCE])
        values |= person.get("custom_fields") or {}
    return {**person, "custom_fields": values}


def _same(there: Any, wanted: Any) -> bool:
    if isinstance(there, list) and isinstance(wanted, list):
        return sorted(there) == sorted(wanted)
    return bool((there or None) == (wanted or None)) if not isinstance(wanted, float) else there == wanted


async def _send(api: PipedriveApi, context: Context, operation: Operation) -> Result:
    try:
        if operation.kind.creates:
            body = new_person(operation, context.activation, context.catalog)
            person = await api.create_person(body)
        else:
            if operation.record_id is None:
                raise AssertionError(f"{operation.kind.name} without a record")
            fields = custom_fields(operation.payload, context.activation, context.catalog)
            person = await api.update_person(operation.record_id, fields)
    except NotInCatalog as error:
        return Result(operation.operation_id, End.REJECTED, str(error), fields=(error.field,), cause=Cause.SCHEMA)
    except Rejected as error:
        return await _refused(api, context, operation, error)
    if person.get("is_deleted"):
        return Result(operation.operation_id, End.REJECTED, GONE, observed={"gone": True})
    return Result(
        operation.operation_id,
        End.DELIVERED,
        record_id=str(person["id"]),
        observed=_observed(person, operation, context),
    )


async def _refused(api: PipedriveApi, context: Context, operation: Operation, error: Rejected) -> Result:
    """Return a refusal: the code and the fields it names, and, for the set, what it holds in truth."""

    def rejected(reason: str, observed: dict[str, Any]) -> Result:
        return Result(
            operation.operation_id,
            End.REJECTED,
            reason,
            status=error.status,
            request_id=error.request_id,
            observed=observed,
            fields=tuple(fields),
        )

    fields: list[str] = []
    if operation.record_id is not None and error.status in _GONE_STATUS:
        return rejected(f"{error.status} {GONE}", {"gone": True})
    fields = named_fields(error.body, context.catalog)
    code = error.body.get("code") if isinstance(error.body, dict) else None
    reason = " ".join(str(w) for w in (error.status, code) if w) + (f": {', '.join(fields)}" if fields else "")
    observed: dict[str, Any] = {}
    if AUDIENCES in fields and operation.record_id is not None:
        # The mirror may hold an option that a colleague deleted. One token, so that the next plan knows better.
        person = await api.person(operation.record_id, codes_of(context))
        observed = held(person, context.activation, context.catalog)
    return rejected(reason, observed)


def _observed(person: dict[str, Any], operation: Operation, context: Context) -> dict[str, Any]:
    """Return what the answer shows; an answer without custom fields is taken to hold what was sent."""
    if isinstance(person.get("custom_fields"), dict):
        return held(person, context.activation, context.catalog)
    sent = custom_fields(operation.payload, context.activation, context.catalog)
    return held({**person, "custom_fields": sent}, context.activation, context.catalog)


async def _find(client: VendorClient, context: Context, people: set[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return cio_id -> (person id, what was seen) of those of ``people`` who exist; the oldest if there are several."""
    start, codes = watermark(context), codes_of(context)
    with Warehouse(
        context.settings.warehouse_path, memory_limit=context.settings.activation_duckdb_memory
    ).read() as con:
        rows = con.execute(
            """SELECT external_id, arg_min(person_id, TRY_CAST(person_id AS BIGINT))
            FROM delivery.pipedrive_persons WHERE NOT is_deleted AND external_id IN (SELECT unnest(?))
            GROUP BY external_id""",
            [sorted(people)],
        ).fetchall()
    found: dict[str, tuple[str, dict[str, Any]]] = {cio_id: (record_id, {}) for cio_id, record_id in rows}
    since = since_text(start) if start else None
    async for page in PipedriveApi(client).persons(codes, since=since, newest_first=since is not None):
        for person in page.rows:
            seen, person_id = held(person, context.activation, context.catalog), str(person["id"])
            cio_id = seen["external_id"]
            if cio_id not in people or person.get("is_deleted"):
                continue
            if cio_id not in found or int(person_id) <= int(found[cio_id][0]):
                found[cio_id] = (person_id, seen)
    return found


def _fold_mirror(con: Connection, finished: str) -> None:
    """Lay what the answers showed over the mirror; never moves its watermark."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_shown AS
        SELECT coalesce(f.result_record_id, f.record_id) AS person_id, CAST(NULL AS VARCHAR) AS name,
               CASE WHEN f.kind = {literal(CREATE.name)} AND json_extract_string(f.keys, '$.email') IS NOT NULL
                    THEN CAST(to_json([json_extract_string(f.keys, '$.email')]) AS VARCHAR) END AS emails,
               CASE WHEN f.kind = {literal(CREATE.name)} THEN json_extract_string(f.keys, '$.email') END
                   AS primary_email,
               CASE WHEN f.kind = {literal(CREATE.name)} AND json_extract_string(f.keys, '$.phone') IS NOT NULL
                    THEN CAST(to_json([json_extract_string(f.keys, '$.phone')]) AS VARCHAR) END AS phones,
               json_extract_string(f.observed, '$.external_id') AS external_id,
               CAST(json_extract(f.observed, '$.audiences') AS VARCHAR) AS audiences,
               CAST(json_extract(f.observed, '$.fields') AS VARCHAR) AS fields,
               CAST(json_extract_string(f.observed, '$.update_time') AS TIMESTAMP) AS update_time,
               false AS is_deleted, f.window_end AS mirrored_at
        FROM {finished} AS f
        WHERE json_exists(f.observed, '$.update_time') AND coalesce(f.result_record_id, f.record_id) IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY person_id ORDER BY update_time DESC NULLS LAST, f.intent_at DESC) = 1"""
    )
    merge(con, "pd_shown")
    con.execute("DROP TABLE pd_shown")
    gone = "\"end\" = 'rejected' AND json_exists(observed, '$.gone')"
    mark_deleted(con, f"SELECT record_id AS person_id FROM {finished} WHERE {gone}")
