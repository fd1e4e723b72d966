"""The plan of one lane's fields, as SQL: state values against the lane's shadow, audiences against the mirror.

All audiences of a person, of both lanes, live in one set field that is written whole. What the person holds there
is known from the mirror, so the mirror is the one acknowledged state that both lanes share: whichever lane runs
first writes a changed set, the other finds nothing left to do, and what a colleague added to the field or took out
of our part of it is seen. State values have a shadow per lane. One PATCH carries both.
"""

from __future__ import annotations

from cio_activation.activation.models import Lane
from cio_activation.delivery.destination import EXIT, Context
from cio_activation.delivery.fields import UNKNOWN, Keep, changes, clears, ensure_shadow
from cio_activation.delivery.unmatched import is_barred
from cio_activation.destinations.common.kinds import CREATE, STAMP, UPDATE, VALUES
from cio_activation.destinations.common.people import OnDeleted, may_create
from cio_activation.destinations.common.removed_fields import removed_columns
from cio_activation.destinations.pipedrive.config import NAME, settings_of
from cio_activation.destinations.pipedrive.matching import EMAIL_TAKEN
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, ID, audience_labels
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, scalar

LEAVES, ENTERS = EXIT, 500
"""Priorities: who left an audience goes first, then who entered one, then plain state."""
_SET = """CAST(to_json({'in': coalesce(list(DISTINCT name ORDER BY name) FILTER (name IS NOT NULL), []),
    'set': list(DISTINCT option_id ORDER BY option_id)}) AS VARCHAR)"""
_IDS = "list(DISTINCT option_id ORDER BY option_id) FILTER (name IS NOT NULL)"


def lane_columns(context: Context, lane: Lane) -> list[str]:
    """Return the names of the lane's properties delivered to Pipedrive, in file order."""
    return [p.name for p in context.activation.lane_properties(lane, NAME)]


def refresh_fields(con: Connection, context: Context, lane: Lane) -> None:
    """Fill the temporary tables ``pd_...`` that the lane's plan and its movements are made from."""
    columns = lane_columns(context, lane)
    shadow = ensure_shadow(con, NAME, str(lane), columns)
    _forget_replaced_fields(con, context, shadow, columns)
    _options(con, context)
    _sets(con)
    elsewhere = ensure_shadow(con, NAME, str(_other(lane)), lane_columns(context, _other(lane)))
    _acknowledged(con, shadow, [*columns, *_removed(con, context, lane)], elsewhere, _elsewhere(con, context, lane))
    _barred(con, context)
    con.execute(f"CREATE OR REPLACE TEMP TABLE pd_desired AS {_desired(context, lane, columns)}")


def plan_fields(con: Connection, context: Context, lane: Lane, keep: Keep) -> str:
    """Return the lane's plan SELECT, over what ``refresh_fields`` filled."""
    columns = lane_columns(context, lane)
    shared = [ID] + ([AUDIENCES] if f"field:{AUDIENCES}" in context.catalog else [])
    keys = "CASE WHEN d.record_id IS NULL THEN d.keys ELSE '{}' END"
    upserts = changes(
        "SELECT * FROM pd_desired", "pd_acked", [*shared, *columns],
        kinds=VALUES, keys=keys, priority="d.urgency", keep=keep,
    )  # fmt: skip
    everyone = f"SELECT cio_id FROM state.{lane.value}_properties SEMI JOIN identity.persons USING (cio_id)"
    leaving = clears(
        everyone,
        "pd_leaving",
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
    FROM ({leaving}) AS c LEFT JOIN pd_foreign AS f ON f.record_id = c.record_id"""
    if not context.activation.kept_properties(NAME):
        return planned
    return f"""
    SELECT p.*, m.fields AS current
    FROM ({planned}) AS p LEFT JOIN delivery.pipedrive_persons AS m ON m.person_id = p.record_id"""


def flag_movements(planned: str) -> str:
    """Return a SELECT of the people whom ``planned`` moves into and out of audiences; call after ``plan_fields``.

    Audiences that left the activation are not counted: that everybody leaves them is what was asked for.
    """
    return f"""
    WITH ours AS (SELECT name, audience FROM pd_options WHERE audience IS NOT NULL),
    held AS (
        SELECT DISTINCT l.cio_id, o.audience
        FROM pd_held_options AS h JOIN ours AS o ON o.name = h.name
        JOIN delivery.links AS l ON l.destination = {literal(NAME)} AND l.record_id = h.record_id
    ),
    moved AS (
        SELECT cio_id, json_extract_string(payload, '$.audiences') AS held
        FROM {planned} WHERE json_exists(payload, '$.audiences')
    ),
    wanted AS (
        SELECT DISTINCT m.cio_id, o.audience
        FROM (SELECT cio_id, unnest(from_json(json_extract(held, '$.in'), '["VARCHAR"]')) AS name FROM moved) AS m
        JOIN ours AS o ON o.name = m.name
    ),
    changed AS (
        SELECT audience, cio_id, true AS enters FROM wanted ANTI JOIN held USING (cio_id, audience)
        UNION ALL
        SELECT audience, cio_id, false FROM held
        SEMI JOIN moved USING (cio_id) ANTI JOIN wanted USING (cio_id, audience)
    )
    SELECT c.audience, c.cio_id, c.enters, coalesce(a.people, 0) AS acknowledged
    FROM changed AS c
    LEFT JOIN (SELECT audience, count(*) AS people FROM held GROUP BY audience) AS a ON a.audience = c.audience"""


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


def _options(con: Connection, context: Context) -> None:
    """Fill ``pd_options``: our audiences' options by name (NULL audience: it left the activation), and dead ones."""
    names = {label: name for name, label in audience_labels(context.activation).items()}
    start = f"option:{AUDIENCES}:"
    rows: list[tuple[int, str | None, str | None, bool]] = [
        (option_id, names.get(key[len(start) :], key[len(start) :]), names.get(key[len(start) :]), False)
        for key, option_id in context.catalog.items()
        if key.startswith(start)
    ]
    rows += [(option_id, None, None, True) for option_id in context.catalog.get(f"retired:{AUDIENCES}", ())]
    con.execute(
        "CREATE OR REPLACE TEMP TABLE pd_options (option_id BIGINT, name VARCHAR, audience VARCHAR, retired BOOLEAN)"
    )
    if rows:
        con.executemany("INSERT INTO pd_options VALUES (?, ?, ?, ?)", rows)


def _sets(con: Connection) -> None:
    """Fill ``pd_held`` (what records hold), ``pd_foreign`` (a colleague's part), ``pd_wanted`` (as it should be)."""
    con.execute(
        """CREATE OR REPLACE TEMP TABLE pd_held_options AS
        SELECT m.person_id AS record_id, m.option_id, o.name
        FROM (SELECT person_id, unnest(from_json(audiences, '["BIGINT"]')) AS option_id
              FROM delivery.pipedrive_persons WHERE NOT is_deleted AND audiences <> '[]') AS m
        LEFT JOIN pd_options AS o ON o.option_id = m.option_id
        WHERE o.retired IS DISTINCT FROM true"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_held AS
        SELECT record_id, {_SET} AS audiences, coalesce({_IDS}, []) AS ours FROM pd_held_options GROUP BY record_id"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_foreign AS
        SELECT record_id, {_SET} AS audiences FROM pd_held_options WHERE name IS NULL GROUP BY record_id"""
    )
    con.execute(
        """CREATE OR REPLACE TEMP TABLE pd_inside AS
        SELECT DISTINCT m.cio_id, o.option_id, o.name
        FROM audience.memberships AS m JOIN pd_options AS o ON o.audience = m.audience
        WHERE m.exited_at IS NULL AND NOT m.ghost"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_wanted AS
        SELECT cio_id, {_SET} AS audiences, coalesce({_IDS}, []) AS ours
        FROM (
            SELECT cio_id, option_id, name FROM pd_inside
            UNION ALL
            SELECT l.cio_id, h.option_id, NULL
            FROM pd_held_options AS h
            JOIN delivery.links AS l ON l.destination = {literal(NAME)} AND l.record_id = h.record_id
            WHERE h.name IS NULL
        ) GROUP BY cio_id"""
    )


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


def _acknowledged(con: Connection, shadow: str, columns: list[str], elsewhere: str, other_columns: list[str]) -> None:
    """Fill ``pd_acked`` (what each linked record holds of ours) and ``pd_leaving`` (the same, for emptying).

    A row's hash counts only while its audiences and id are right, so that the plan looks at it otherwise. Whoever
    left Customer.io is let go of by the first lane that notices, so that lane empties the other one's fields too.
    """
    # What a record holds in our fields is not known before we wrote it once: differs from everything, NULL too.
    values = [identifier(f"p_{c}") for c in columns]
    picked = "".join(f", CASE WHEN s.cio_id IS NULL THEN {UNKNOWN} ELSE s.{v} END AS {v}" for v in values)
    written = "".join(f", nullif(a.{v}, {UNKNOWN}) AS {v}" for v in values)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_acked AS
        SELECT l.cio_id, l.record_id,
               CASE WHEN m.external_id = l.cio_id AND h.audiences IS NOT DISTINCT FROM w.audiences
                    THEN s.whole_hash END AS whole_hash,
               h.audiences AS p_audiences, coalesce(h.ours, []) AS ours, m.external_id AS p_id,
               s.in_doubt, s.acked_at{picked}
        FROM delivery.links AS l
        LEFT JOIN {shadow} AS s ON s.cio_id = l.cio_id AND s.record_id = l.record_id
        LEFT JOIN delivery.pipedrive_persons AS m ON m.person_id = l.record_id
        LEFT JOIN pd_held AS h ON h.record_id = l.record_id
        LEFT JOIN pd_wanted AS w ON w.cio_id = l.cio_id
        WHERE l.destination = {literal(NAME)} AND l.record_id IS NOT NULL"""
    )
    unlinked = ", s.".join(["cio_id", "record_id", "in_doubt", *values])
    others = "".join(
        f", CASE WHEN p.cio_id IS NULL THEN o.{v} END AS {v}" for v in (identifier(f"p_{c}") for c in other_columns)
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_leaving AS
        SELECT a.* REPLACE (
            CASE WHEN p.cio_id IS NULL AND len(a.ours) > 0 THEN a.p_audiences END AS p_audiences,
            CASE WHEN p.cio_id IS NULL AND a.p_id = a.cio_id THEN a.p_id END AS p_id,
            CASE WHEN p.cio_id IS NULL THEN nullif(concat(a.in_doubt, o.in_doubt), '') ELSE a.in_doubt END AS in_doubt
            {written}){others}
        FROM pd_acked AS a LEFT JOIN identity.persons AS p ON p.cio_id = a.cio_id
        LEFT JOIN {elsewhere} AS o ON o.cio_id = a.cio_id AND o.record_id = a.record_id
        UNION ALL BY NAME
        SELECT s.{unlinked} FROM {shadow} AS s ANTI JOIN pd_acked AS a ON a.cio_id = s.cio_id"""
    )


def _may_create(context: Context) -> str:
    return may_create(settings_of(context.activation).create_people, "p.cio_id", "SELECT cio_id FROM pd_inside")


def _barred(con: Connection, context: Context) -> None:
    """Fill ``pd_barred``: who would be made and is not, for such a record was deleted. Of nobody else is it asked."""
    recreate = settings_of(context.activation).on_deleted is OnDeleted.RECREATE
    barred = is_barred(NAME, "c.cio_id", "c.email", recreate=recreate)
    any_gone = scalar(con, f"SELECT EXISTS (FROM delivery.gone_records WHERE destination = {literal(NAME)})")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE pd_barred AS
        SELECT c.cio_id FROM (
            SELECT p.cio_id, p.email FROM identity.persons AS p
            JOIN delivery.links AS l ON l.destination = {literal(NAME)} AND l.cio_id = p.cio_id
            WHERE l.record_id IS NULL AND p.deliverable AND {_may_create(context)}
        ) AS c WHERE {barred if any_gone else "false"}"""
    )


def _desired(context: Context, lane: Lane, columns: list[str]) -> str:
    """Return the desired rows: people with a record, and those that get one by ``create_people``."""
    created = _may_create(context)
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
    FROM state.{lane.value}_properties AS s
    JOIN identity.persons AS p ON p.cio_id = s.cio_id
    JOIN delivery.links AS l ON l.destination = {literal(NAME)} AND l.cio_id = s.cio_id
    LEFT JOIN pd_acked AS a ON a.cio_id = s.cio_id
    LEFT JOIN pd_wanted AS w ON w.cio_id = s.cio_id
    LEFT JOIN (SELECT cio_id, arg_max(record_id, released_at) AS record_id FROM delivery.pipedrive_released
               GROUP BY cio_id) AS r ON r.cio_id = s.cio_id
    WHERE l.record_id IS NOT NULL
       OR (p.deliverable AND l.matched_by IS DISTINCT FROM {literal(EMAIL_TAKEN)} AND {created}
           AND p.cio_id NOT IN (SELECT cio_id FROM pd_barred))"""
