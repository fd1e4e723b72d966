"""The plan of one lane's fields, as SQL: state values against the lane's shadow, audiences against the mirror.

All audiences of a person, of both lanes, live in one set field that is written whole. What the person holds there
is known from the mirror, so the mirror is the one acknowledged state that both lanes share: whichever lane runs
first writes a changed set, the other finds nothing left to do, and what a colleague added to the field or took out
of our part of it is seen. State values have a shadow per lane. One PATCH carries both.
"""

from __future__ import annotations

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import EXIT, Context
from cio_activation.delivery.fields import UNKNOWN, Keep, changes, clears, ensure_shadow, shadow_name
from cio_activation.delivery.unmatched import is_barred
from cio_activation.destinations.common.kinds import CREATE, STAMP, UPDATE, VALUES
from cio_activation.destinations.common.people import OnDeleted, may_create, state_table
from cio_activation.destinations.common.removed_fields import removed_columns
from cio_activation.destinations.pipedrive.config import NAME, settings_of
from cio_activation.destinations.pipedrive.matching import EMAIL_TAKEN
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, ID
from cio_activation.destinations.pipedrive.sets import fill_options, fill_sets, mirror_of, named
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, scalar

LEAVES, ENTERS = EXIT, 500
"""Priorities: who left an audience goes first, then who entered one, then plain state."""


def lane_columns(context: Context, lane: Lane) -> list[str]:
    """Return the names of the lane's properties delivered to Pipedrive, in file order."""
    return [p.name for p in context.activation.lane_properties(lane, NAME)]


def field_tables(lane: Lane) -> tuple[str, ...]:
    """Return the tables with ``cio_id`` that the lane's plan is made from; of the mirror it reads their records."""
    shadows = (shadow_name(NAME, str(lane)), shadow_name(NAME, str(_other(lane))))
    names = ("identity.persons", "delivery.links", "audience.memberships", "delivery.pipedrive_released")
    return (state_table(lane), *names, *shadows)


def refresh_fields(con: Connection, context: Context, lane: Lane) -> None:
    """Bring the shadows up to date with the fields that there are."""
    columns = lane_columns(context, lane)
    shadow = ensure_shadow(con, NAME, str(lane), columns)
    ensure_shadow(con, NAME, str(_other(lane)), lane_columns(context, _other(lane)))
    _forget_replaced_fields(con, context, shadow, columns)
    fill_options(con, context)


def stage_fields(con: Connection, context: Context, lane: Lane) -> None:
    """Fill the temporary tables ``pd_...`` that the lane's plan for those in scope is made from."""
    fill_sets(con, context.scope)
    _acknowledge(con, context, lane)
    _bar(con, context)
    desired = _desired(context, lane, lane_columns(context, lane))
    con.execute(f"CREATE OR REPLACE TEMP TABLE {named(context.scope)}desired AS {desired}")


def plan_fields(con: Connection, context: Context, lane: Lane, keep: Keep) -> str:
    """Return the lane's plan SELECT for those in scope, over what ``stage_fields`` filled for them."""
    columns, scope = lane_columns(context, lane), context.scope
    at, mirror = named(scope), mirror_of(scope)
    shared = [ID] + ([AUDIENCES] if f"field:{AUDIENCES}" in context.catalog else [])
    keys = "CASE WHEN d.record_id IS NULL THEN d.keys ELSE '{}' END"
    upserts = changes(
        f"SELECT * FROM {at}desired", f"{at}acked", [*shared, *columns],
        kinds=VALUES, keys=keys, priority="d.urgency", keep=keep,
    )  # fmt: skip
    known = f"SELECT cio_id FROM {scope.rows('identity.persons')}"
    everyone = f"SELECT cio_id FROM {scope.rows(state_table(lane))} WHERE cio_id IN ({known})"
    leaving = clears(
        everyone,
        f"{at}leaving",
        [*shared, *columns, *_removed(con, context, lane), *_elsewhere(con, context, lane)],
        kinds=VALUES,
        keep=keep,
    )
    rest = "json_merge_patch(c.payload, json_object('audiences', f.audiences))"
    planned = f"""
    SELECT * REPLACE (
        CASE WHEN kind = {literal(UPDATE.name)} AND json_exists(payload, '$.id') THEN {literal(STAMP.name)}
             ELSE kind END AS kind,
        CASE WHEN kind = {literal(CREATE.name)}
             THEN 'after:' || json_extract_string(keys, '$.previous_record') END AS target)
    FROM ({upserts})
    UNION ALL BY NAME
    SELECT c.* REPLACE (CAST(CASE WHEN json_exists(c.payload, '$.audiences') AND f.audiences IS NOT NULL
                             THEN {rest} ELSE c.payload END AS VARCHAR) AS payload)
    FROM ({leaving}) AS c LEFT JOIN {at}foreign AS f ON f.record_id = c.record_id"""
    if not context.activation.kept_properties(NAME):
        return planned
    return f"""
    SELECT p.*, m.fields AS current
    FROM ({planned}) AS p LEFT JOIN {mirror} AS m ON m.person_id = p.record_id"""


def _forget_replaced_fields(con: Connection, context: Context, shadow: str, columns: list[str]) -> None:
    """Empty the shadow where a field, or the option that people held, was deleted in Pipedrive and made anew.

    Both take their values with them, and what took their place is empty.
    """
    known = dict(con.execute("SELECT field, code FROM delivery.pipedrive_field_codes").fetchall())
    present: dict[str, str] = {}
    for column in columns:
        held, start = identifier(f"p_{column}"), f"option:{column}:"
        if (code := context.catalog.get(f"field:{column}")) is None:
            continue  # the guard against schema drift holds the plan
        present[column] = str(code)
        if known.get(column, present[column]) != present[column]:
            con.execute(f"UPDATE {shadow} SET whole_hash = NULL, {held} = NULL")
        for key in [k for k in context.catalog if k.startswith(start)]:
            present[key] = str(context.catalog[key])
            if known.get(key, present[key]) != present[key]:
                con.execute(
                    f"UPDATE {shadow} SET whole_hash = NULL, {held} = NULL WHERE {held} = ?", [key[len(start) :]]
                )
    for name in [n for n, code in present.items() if known.get(n) != code]:
        con.execute("DELETE FROM delivery.pipedrive_field_codes WHERE field = ?", [name])
        con.execute("INSERT INTO delivery.pipedrive_field_codes VALUES (?, ?)", [name, present[name]])


def _other(lane: Lane) -> Lane:
    return next(one for one in Lane if one is not lane)


def _removed(con: Connection, context: Context, lane: Lane) -> list[str]:
    """Return the lane's columns that left the activation and whose field is still there."""
    return removed_columns(con, context.activation, context.catalog, NAME, lane)


def _elsewhere(con: Connection, context: Context, lane: Lane) -> list[str]:
    """Return those of the other lane's columns that have a field, also of properties that left the activation."""
    other, mine = _other(lane), _removed(con, context, lane)
    delivered = [c for c in lane_columns(context, other) if f"field:{c}" in context.catalog]
    return delivered + [c for c in _removed(con, context, other) if c not in mine]


def _acknowledge(con: Connection, context: Context, lane: Lane) -> None:
    """Fill ``acked`` (what each linked record holds of ours) and ``leaving`` (the same, for emptying).

    A row's hash counts only while its audiences and id are right, so that the plan looks at it otherwise. Whoever
    left Customer.io is let go of by the first lane that notices, so that lane empties the other one's fields too.
    """
    scope, at, mirror = context.scope, named(context.scope), mirror_of(context.scope)
    columns = [*lane_columns(context, lane), *_removed(con, context, lane)]
    other_columns = _elsewhere(con, context, lane)
    shadow = scope.rows(shadow_name(NAME, str(lane)))
    elsewhere = scope.rows(shadow_name(NAME, str(_other(lane))))
    # What a record holds in our fields is not known before we wrote it once: differs from everything, NULL too.
    values = [identifier(f"p_{c}") for c in columns]
    picked = "".join(f", CASE WHEN s.cio_id IS NULL THEN {UNKNOWN} ELSE s.{v} END AS {v}" for v in values)
    written = "".join(f", nullif(a.{v}, {UNKNOWN}) AS {v}" for v in values)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {at}acked AS
        SELECT l.cio_id, l.record_id,
               CASE WHEN m.external_id = l.cio_id AND h.audiences IS NOT DISTINCT FROM w.audiences
                    THEN s.whole_hash END AS whole_hash,
               h.audiences AS p_audiences, coalesce(h.ours, []) AS ours, m.external_id AS p_id,
               s.in_doubt, s.acked_at{picked}
        FROM {scope.rows("delivery.links")} AS l
        LEFT JOIN {shadow} AS s ON s.cio_id = l.cio_id AND s.record_id = l.record_id
        LEFT JOIN {mirror} AS m ON m.person_id = l.record_id
        LEFT JOIN {at}held AS h ON h.record_id = l.record_id
        LEFT JOIN {at}wanted AS w ON w.cio_id = l.cio_id
        WHERE l.destination = {literal(NAME)} AND l.record_id IS NOT NULL"""
    )
    unlinked = ", s.".join(["cio_id", "record_id", "in_doubt", *values])
    others = "".join(
        f", CASE WHEN p.cio_id IS NULL THEN o.{v} END AS {v}" for v in (identifier(f"p_{c}") for c in other_columns)
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {at}leaving AS
        SELECT a.* REPLACE (
            CASE WHEN p.cio_id IS NULL AND len(a.ours) > 0 THEN a.p_audiences END AS p_audiences,
            CASE WHEN p.cio_id IS NULL AND a.p_id = a.cio_id THEN a.p_id END AS p_id,
            CASE WHEN p.cio_id IS NULL THEN nullif(concat(a.in_doubt, o.in_doubt), '') ELSE a.in_doubt END AS in_doubt
            {written}){others}
        FROM {at}acked AS a LEFT JOIN {scope.rows("identity.persons")} AS p ON p.cio_id = a.cio_id
        LEFT JOIN {elsewhere} AS o ON o.cio_id = a.cio_id AND o.record_id = a.record_id
        UNION ALL BY NAME
        SELECT s.{unlinked} FROM {shadow} AS s ANTI JOIN {at}acked AS a ON a.cio_id = s.cio_id"""
    )


def _may_create(context: Context) -> str:
    return may_create(
        settings_of(context.activation).create_people, "p.cio_id", f"SELECT cio_id FROM {named(context.scope)}inside"
    )


def _bar(con: Connection, context: Context) -> None:
    """Fill ``barred``: who would be made and is not, for such a record was deleted. Of nobody else is it asked."""
    scope = context.scope
    recreate = settings_of(context.activation).on_deleted is OnDeleted.RECREATE
    barred = is_barred(NAME, "c.cio_id", "c.email", recreate=recreate)
    any_gone = scalar(con, f"SELECT EXISTS (FROM delivery.gone_records WHERE destination = {literal(NAME)})")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {named(scope)}barred AS
        SELECT c.cio_id FROM (
            SELECT p.cio_id, p.email FROM {scope.rows("identity.persons")} AS p
            JOIN {scope.rows("delivery.links")} AS l ON l.destination = {literal(NAME)} AND l.cio_id = p.cio_id
            WHERE l.record_id IS NULL AND p.deliverable AND {_may_create(context)}
        ) AS c WHERE {barred if any_gone else "false"}"""
    )


def _desired(context: Context, lane: Lane, columns: list[str]) -> str:
    """Return the desired rows: people with a record, and those that get one by ``create_people``."""
    created, scope, at = _may_create(context), context.scope, named(context.scope)
    values = "".join(f", CAST(s.{identifier(c)} AS VARCHAR) AS {identifier(c)}" for c in columns)
    person = """to_json({cio_id: p.cio_id, email: p.email, phone: p.phone, previous_record: r.record_id,
        name: coalesce(nullif(trim(concat_ws(' ', nullif(trim(p.first_name), ''), nullif(trim(p.last_name), ''))), ''),
                       split_part(p.email, '@', 1))})"""
    return f"""
    SELECT s.cio_id, l.record_id, s.{identifier(f"hash_{NAME}")} AS row_hash, w.audiences, s.cio_id AS id,
           CAST(CASE WHEN l.record_id IS NULL THEN {person} END AS VARCHAR) AS keys,
           CASE WHEN NOT list_has_all(coalesce(w.ours, []), coalesce(a.ours, [])) THEN {LEAVES}
                WHEN w.ours IS NOT NULL AND NOT list_has_all(coalesce(a.ours, []), w.ours) THEN {ENTERS}
                ELSE 0 END AS urgency{values}
    FROM {scope.rows(state_table(lane))} AS s
    JOIN {scope.rows("identity.persons")} AS p ON p.cio_id = s.cio_id
    JOIN {scope.rows("delivery.links")} AS l ON l.destination = {literal(NAME)} AND l.cio_id = s.cio_id
    LEFT JOIN {at}acked AS a ON a.cio_id = s.cio_id
    LEFT JOIN {at}wanted AS w ON w.cio_id = s.cio_id
    LEFT JOIN (SELECT cio_id, arg_max(record_id, released_at) AS record_id
               FROM {scope.rows("delivery.pipedrive_released")} GROUP BY cio_id) AS r ON r.cio_id = s.cio_id
    WHERE l.record_id IS NOT NULL
       OR (p.deliverable AND l.matched_by IS DISTINCT FROM {literal(EMAIL_TAKEN)} AND {created}
           AND p.cio_id NOT IN (SELECT cio_id FROM {at}barred))"""
