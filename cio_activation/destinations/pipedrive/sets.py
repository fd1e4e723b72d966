"""Which audiences records hold, by the mirror, and which they should: the field of audiences is written whole."""

from __future__ import annotations

from cio_activation.delivery.destination import Context
from cio_activation.destinations.pipedrive.config import NAME
from cio_activation.destinations.pipedrive.mirrored import MIRROR
from cio_activation.destinations.pipedrive.schema_names import AUDIENCES, audience_labels
from cio_activation.warehouse.scope import Scope
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

_SET = """CAST(to_json({'in': coalesce(list(DISTINCT name ORDER BY name) FILTER (name IS NOT NULL), []),
    'set': list(DISTINCT option_id ORDER BY option_id)}) AS VARCHAR)"""
_IDS = "list(DISTINCT option_id ORDER BY option_id) FILTER (name IS NOT NULL)"


def named(scope: Scope) -> str:
    """Return how the names of the temporary tables of one look begin: a look at few leaves those of all alone."""
    return "pd_" if scope.is_everyone else "pd_few_"


def mirror_of(scope: Scope) -> str:
    """Return a relation: the rows of the mirror that are of somebody in ``scope``, see :func:`fill_sets`."""
    return MIRROR if scope.is_everyone else f"{named(scope)}mirror"


def fill_options(con: Connection, context: Context) -> None:
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


def fill_sets(con: Connection, scope: Scope) -> None:
    """Fill ``mirror``, ``held`` (what records hold), ``foreign`` (a colleague's part), ``wanted`` (as it should be)."""
    at, mirror = named(scope), mirror_of(scope)
    if not scope.is_everyone:
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE {mirror} AS
            SELECT * FROM {MIRROR} WHERE person_id IN (
                SELECT record_id FROM {scope.rows("delivery.links")}
                WHERE destination = {literal(NAME)} AND record_id IS NOT NULL)"""
        )
    con.execute(f"CREATE OR REPLACE TEMP TABLE {at}held_options AS {_held_options(mirror)}")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {at}held AS
        SELECT record_id, {_SET} AS audiences, coalesce({_IDS}, []) AS ours FROM {at}held_options GROUP BY record_id"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {at}foreign AS
        SELECT record_id, {_SET} AS audiences FROM {at}held_options WHERE name IS NULL GROUP BY record_id"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {at}inside AS
        SELECT DISTINCT m.cio_id, o.option_id, o.name
        FROM {scope.rows("audience.memberships")} AS m JOIN pd_options AS o ON o.audience = m.audience
        WHERE m.exited_at IS NULL AND NOT m.ghost"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {at}wanted AS
        SELECT cio_id, {_SET} AS audiences, coalesce({_IDS}, []) AS ours
        FROM (
            SELECT cio_id, option_id, name FROM {at}inside
            UNION ALL
            SELECT l.cio_id, h.option_id, NULL
            FROM {at}held_options AS h
            JOIN {scope.rows("delivery.links")} AS l
                ON l.destination = {literal(NAME)} AND l.record_id = h.record_id
            WHERE h.name IS NULL
        ) GROUP BY cio_id"""
    )


def flag_movements(planned: str) -> str:
    """Return a SELECT of the people whom ``planned`` moves into and out of audiences; call after ``fill_options``.

    By what the mirror holds of everybody, whomever the plan was made for. Audiences that left the activation are not
    counted: that everybody leaves them is what was asked for.
    """
    return f"""
    WITH ours AS (SELECT name, audience FROM pd_options WHERE audience IS NOT NULL),
    held AS (
        SELECT DISTINCT l.cio_id, o.audience
        FROM ({_held_options(MIRROR)}) AS h JOIN ours AS o ON o.name = h.name
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


def _held_options(mirror: str) -> str:
    """Return a SELECT of the options that records hold, and of which audience each is; NULL: a colleague's."""
    return f"""SELECT m.person_id AS record_id, m.option_id, o.name
        FROM (SELECT person_id, unnest(from_json(audiences, '["BIGINT"]')) AS option_id
              FROM {mirror} WHERE NOT is_deleted AND audiences <> '[]') AS m
        LEFT JOIN pd_options AS o ON o.option_id = m.option_id
        WHERE o.retired IS DISTINCT FROM true"""
