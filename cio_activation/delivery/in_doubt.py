"""In doubt: an attempt that ended without being delivered may still have been applied (answer lost, run killed, late).

What was last acknowledged is then not known to be what the destination holds. Comparing with that alone goes wrong
when the change is taken back before the next run: nothing seems to differ, and the destination keeps a value, or a
list a member, that nobody wants. So the fold marks what such an attempt touched, and the next plan writes it again,
whichever way it is wanted by then. Also after a plain 429: one superfluous write is cheap.
"""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.models import Lane
from cio_activation.delivery.fields import ensure_shadow
from cio_activation.journal.operations import Kind, names_sql
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar


def note(con: Connection, destination: str, lane: Lane | None, kinds: Sequence[Kind], finished: str) -> None:
    """Mark what the undelivered attempts in ``finished`` touched; call after the step's own fold.

    In the lane's shadow: the fields' names in ``in_doubt``, and no row hash. In ``delivery.members``: no ``acked_at``,
    which makes the row a membership that has to be asked for again, in or out.
    """
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE attempts_in_doubt AS
        SELECT cio_id, coalesce(result_record_id, record_id) AS record_id, kind, target, payload, intent_at
        FROM {finished} WHERE "end" = 'retry' AND coalesce(result_record_id, record_id) IS NOT NULL"""
    )
    if scalar(con, "SELECT count(*) FROM attempts_in_doubt"):
        _members(con, destination, kinds)
        if lane is not None:
            _values(con, destination, lane, kinds)
    con.execute("DROP TABLE attempts_in_doubt")


def put(con: Connection, shadow: str, fields: str) -> None:
    """Put ``fields`` (a SELECT of ``cio_id, record_id, name``) in doubt in a lane's shadow; nothing else changes."""
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE values_in_doubt AS
        SELECT cio_id, record_id, '|' || string_agg(DISTINCT name, '|' ORDER BY name) || '|' AS in_doubt
        FROM ({fields}) GROUP BY cio_id, record_id"""
    )
    if scalar(con, "SELECT count(*) FROM values_in_doubt"):
        con.execute(
            f"""UPDATE {shadow} AS s SET whole_hash = NULL, in_doubt = concat(s.in_doubt, d.in_doubt)
            FROM values_in_doubt AS d WHERE s.cio_id = d.cio_id AND s.record_id = d.record_id"""
        )


def _members(con: Connection, destination: str, kinds: Sequence[Kind]) -> None:
    place = literal(destination)
    memberships = names_sql(kinds, lambda kind: kind.writes_membership)
    listed = f"SELECT DISTINCT target, cio_id, record_id FROM attempts_in_doubt WHERE kind IN {memberships}"
    same = f"""m.destination = {place} AND m.audience = d.target AND m.cio_id = d.cio_id
        AND m.record_id = d.record_id"""
    con.execute(f"UPDATE delivery.members AS m SET acked_at = NULL FROM ({listed}) AS d WHERE {same}")
    con.execute(
        f"""INSERT INTO delivery.members SELECT {place}, d.target, d.cio_id, d.record_id, NULL FROM ({listed}) AS d
        WHERE NOT EXISTS (SELECT 1 FROM delivery.members AS m WHERE {same})"""
    )


def _values(con: Connection, destination: str, lane: Lane, kinds: Sequence[Kind]) -> None:
    shadow = ensure_shadow(con, destination, str(lane), ())
    put(
        con,
        shadow,
        f"""SELECT cio_id, record_id, unnest(json_keys(payload)) AS name FROM attempts_in_doubt
        WHERE kind IN {names_sql(kinds, lambda kind: kind.writes_fields)}""",
    )
    con.execute(
        f"""INSERT INTO {shadow} BY NAME SELECT cio_id, record_id, in_doubt FROM values_in_doubt
        WHERE cio_id NOT IN (SELECT cio_id FROM {shadow})"""
    )
    con.execute("DROP TABLE values_in_doubt")
