"""What becomes of deviations: ours are put in doubt, which the next plan settles; what humans wrote is a conflict.

The same goes for what was contested: found, repaired and found again. It is listed instead of fought over. Nothing is
written to a vendor here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cio_activation.activation.models import Lane
from cio_activation.audit.kinds import Kind, Treatment
from cio_activation.delivery import in_doubt
from cio_activation.delivery.destination import Context, Destination
from cio_activation.delivery.fields import shadow_column, shadow_name
from cio_activation.delivery.outreach import SeenAction
from cio_activation.delivery.read_back import ReadsBack
from cio_activation.feedback.acts import land_acts
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

REMEMBERED = timedelta(days=90)
"""So long after a repair the same deviation counts as contested."""
_CONTESTABLE = f"'{Kind.EDITED}', '{Kind.CLEARED}', '{Kind.EMPTIED}', '{Kind.FOREIGN}'"


def treat(con: Connection, destination: Destination, context: Context) -> None:
    """Give each row of ``deviations`` its treatment (table ``treated``), and carry it out."""
    assert isinstance(destination, ReadsBack)
    name = destination.name
    _forget_ended(con, name)
    _decide(con, destination, context)
    _conflicts(con, destination, context)
    _repair_fields(con, name)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE repairs AS SELECT * FROM treated
        WHERE treatment = '{Treatment.REPAIRED}' AND subject <> 'field'"""
    )
    destination.take_in(con, context, "repairs", "seen_records")
    change_log.note(con, f"delivery.{name}", f"SELECT cio_id FROM treated WHERE treatment = '{Treatment.REPAIRED}'")


def note_deleted(
    con: Connection, destination: str, context: Context, deleted: Sequence[tuple[str, SeenAction]]
) -> None:
    """Note actions that humans deleted as what they did: they are handled, and never made again; list them."""
    import pyarrow as pa

    con.register("gone_now", pa.table({
        "cio_id": pa.array([cio_id for cio_id, _ in deleted], pa.string()),
        "record_id": pa.array([one.record_id for _, one in deleted], pa.string()),
    }))  # fmt: skip
    judged = con.execute(
        """SELECT record_id FROM gone_now WHERE cio_id IN (SELECT cio_id FROM compared) ORDER BY record_id"""
    ).fetchall()
    con.unregister("gone_now")
    ids = {str(i) for (i,) in judged}
    assert context.window is not None
    land_acts(con, destination, [one for _, one in deleted if one.record_id in ids], context.window.as_of)
    listed = ", ".join(literal(i) for i in sorted(ids)) or "NULL"
    # Not those whose entry had ended: they were ours to take back, and no human's act.
    con.execute(
        f"""INSERT INTO treated BY NAME
        SELECT '{Kind.DELETED}' AS kind, '{Treatment.HANDLED}' AS treatment, 'action' AS subject, kind AS name,
               cio_id, record_id, 'open' AS ours
        FROM delivery.actions
        WHERE destination = {literal(destination)} AND record_id IN ({listed}) AND status = 'deleted'"""
    )


def _forget_ended(con: Connection, name: str) -> None:
    """Forget conflicts that are no more: the field holds what is ours, the place on a list is as acknowledged."""
    path = "CASE WHEN NOT starts_with(k.field, 'list/') THEN '$.' || k.field END"
    con.execute(
        f"""DELETE FROM delivery.conflicts AS k
        WHERE k.destination = {literal(name)} AND EXISTS (
            SELECT 1 FROM compared AS c WHERE c.cio_id = k.cio_id AND c.record_id = k.record_id
              AND json_exists(c.values_now, {path})
              AND coalesce(json_extract_string(c.values_now, {path}), '') = coalesce(k.ours, ''))"""
    )
    con.execute(
        f"""DELETE FROM delivery.conflicts AS k
        WHERE k.destination = {literal(name)} AND starts_with(k.field, 'list/')
          AND k.cio_id IN (SELECT cio_id FROM compared)
          AND NOT EXISTS (SELECT 1 FROM deviations AS d WHERE d.subject = 'list' AND d.cio_id = k.cio_id
            AND d.record_id = k.record_id AND k.field = 'list/' || d.name AND k.theirs = d.theirs)"""
    )


def _decide(con: Connection, destination: Destination, context: Context) -> None:
    assert isinstance(destination, ReadsBack)
    kept = ", ".join(map(literal, context.activation.kept_properties(destination.name))) or "NULL"
    place = literal(destination.name)
    contested = f"""d.kind IN ({_CONTESTABLE}) AND (d.subject = 'field'
            OR (d.subject = 'list' AND NOT {str(destination.heals_memberships).lower()}))
        AND EXISTS (
            SELECT 1 FROM delivery.audit_findings AS f
            WHERE f.destination = {place} AND f.treatment = '{Treatment.REPAIRED}' AND f.kind IN ({_CONTESTABLE})
              AND f.subject = d.subject AND f.name = d.name AND f.cio_id = d.cio_id AND f.record_id = d.record_id
              AND f.found_at >= {timestamp(datetime.now(UTC).replace(tzinfo=None) - REMEMBERED)})"""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE treated AS
        SELECT d.*, CASE
            WHEN d.cio_id IS NULL THEN '{Treatment.LISTED}'
            WHEN d.kind = '{Kind.NEVER_ARRIVED}' THEN '{Treatment.REPAIRED}'
            WHEN d.subject = 'field' AND d.name IN ({kept}) THEN '{Treatment.KEPT}'
            WHEN {contested} THEN '{Treatment.LISTED}'
            ELSE '{Treatment.REPAIRED}' END AS treatment
        FROM deviations AS d
        WHERE NOT EXISTS (  -- listed before, and still so
            SELECT 1 FROM delivery.conflicts AS k WHERE d.subject = 'list' AND k.destination = {place}
              AND k.field = 'list/' || d.name AND k.cio_id = d.cio_id AND k.record_id = d.record_id
              AND k.theirs = d.theirs)"""
    )


def _conflicts(con: Connection, destination: Destination, context: Context) -> None:
    """Remember what is left as it is, as every plan does; what was remembered of the same before goes."""
    assert context.window is not None
    steps = " ".join(f"WHEN {literal(lane.value)} THEN {literal(_step(destination, context, lane))}" for lane in Lane)
    place = literal(destination.name)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE left_alone AS
        SELECT {place} AS destination, CASE WHEN subject = 'field' THEN CASE lane {steps} END ELSE 'list/' || name END
                   AS step,
               cio_id, record_id, CASE WHEN subject = 'field' THEN name ELSE 'list/' || name END AS field,
               ours, theirs
        FROM treated WHERE cio_id IS NOT NULL AND treatment IN ('{Treatment.KEPT}', '{Treatment.LISTED}')"""
    )
    con.execute(
        f"""DELETE FROM delivery.conflicts WHERE destination = {place}
        AND (cio_id, field) IN (SELECT (cio_id, field) FROM left_alone)"""
    )
    con.execute(
        "INSERT INTO delivery.conflicts BY NAME SELECT *, ? AS found_window, ? AS found_at FROM left_alone",
        [context.window.key, context.window.as_of],
    )
    con.execute("DROP TABLE left_alone")


def _step(destination: Destination, context: Context, lane: Lane) -> str:
    """Return the step that writes the lane's fields."""
    writing = (
        s.name
        for s in destination.steps(context.activation)
        if s.lane is lane and any(k.creates and k.writes_fields for k in s.kinds)
    )
    return next(writing, "")


def _repair_fields(con: Connection, name: str) -> None:
    """Put fields in doubt; of what never arrived nothing is acknowledged, so that no human can have changed it."""
    for lane in Lane:
        shadow = shadow_name(name, lane.value)
        mine = f"SELECT * FROM treated WHERE subject = 'field' AND lane = {literal(lane.value)}"
        mine += f" AND treatment = '{Treatment.REPAIRED}'"
        names = con.execute(f"SELECT DISTINCT name FROM ({mine} AND kind = '{Kind.NEVER_ARRIVED}')").fetchall()
        for (field,) in names:
            con.execute(
                f"""UPDATE {shadow} AS s SET whole_hash = NULL, {shadow_column(field)} = NULL
                FROM ({mine} AND kind = '{Kind.NEVER_ARRIVED}' AND name = {literal(field)}) AS t
                WHERE s.cio_id = t.cio_id AND s.record_id = t.record_id"""
            )
        in_doubt.put(con, shadow, f"{mine} AND kind <> '{Kind.NEVER_ARRIVED}'")
