"""Who is in a sample: the newest of each audience, somebody of each value of a property, and people in none.

Everybody has one place in an order that the seed alone decides, and each stratum takes its first ones. So people whom
several strata would take are drawn once for all of these, and few people show much.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cio_activation.activation.models import Activation, Lane, Property, PropertyType
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import exists, identifier, literal
from cio_activation.warehouse.tables import AUDIENCE_MEMBERSHIPS, LINKS, PERSONS

MOST = 50
"""People of a sample: what is asked for is exceeded, up to these, where there are more strata than that shows."""
DRAWN = "sample_drawn"
"""Temporary table of who was drawn: ``cio_id, place``."""
_PREFERRED = 2
"""Of each audience so many are drawn first for values of properties, too."""


_PLACES = 2**60
"""Places in the order are numbers below this: the first 15 digits of an md5."""


_FIRST = f"list_transform(min(o.turn, {MOST}), lambda turn: turn % {_PLACES})"
"""SQL for the places of the first ones of a group."""


class Of(StrEnum):
    """What a stratum is about."""

    AUDIENCE = "audience"
    NONE = "none"
    PROPERTY = "property"


@dataclass(frozen=True, kw_only=True)
class Stratum:
    """People who have something in common."""

    of: Of
    name: str
    """The audience or property."""
    label: str
    """The property's value."""
    people: int
    """All of them."""

    def __str__(self) -> str:
        if self.of is Of.NONE:
            return "in no audience"
        return f"in {self.name}" if self.of is Of.AUDIENCE else f"{self.name} = {self.label}"


def draw(con: Connection, activation: Activation, seed: str, size: int) -> list[Stratum]:
    """Fill :data:`DRAWN` with ``size`` people, or as many more as are needed to show every stratum; return these."""
    _pool(con, activation, seed)
    con.execute(f"CREATE OR REPLACE TEMP TABLE sample_strata AS {_audiences(activation)}")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE sample_order AS
        SELECT p.cio_id, p.place + {_PLACES} * ((NOT p.linked)::BIGINT + 2 * (f.place IS NULL)::BIGINT) AS turn
        FROM sample_pool AS p LEFT JOIN (
            SELECT DISTINCT unnest(first[:{_PREFERRED}]) AS place FROM sample_strata) AS f ON f.place = p.place"""
    )
    con.execute(f"INSERT INTO sample_strata BY NAME {_in_none()}")
    _values(con, activation)
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE {DRAWN} AS
        WITH ranked AS (
            SELECT "of", unnest(first) AS place, generate_subscripts(first, 1) AS rank FROM sample_strata
        ), rounds AS (
            -- A round shows every stratum once; within one, audiences go first.
            SELECT place, min(rank) AS round, min(concat(lpad(CAST(rank AS VARCHAR), 3, '0'), "of")) AS turn
            FROM ranked GROUP BY place
        )
        SELECT p.cio_id, row_number() OVER (ORDER BY r.turn, r.place, p.cio_id) AS place
        FROM rounds AS r JOIN sample_pool AS p ON p.place = r.place
        ORDER BY place
        LIMIT greatest({size}, least({MOST}, (SELECT count(*) FROM rounds WHERE round = 1)))"""
    )
    return _counted(con, activation)


def _pool(con: Connection, activation: Activation, seed: str) -> None:
    places = ", ".join(map(literal, activation.destinations)) or "NULL"
    # Not DuckDB's own hash, which may be another one in its next release. A number: of millions a few are looked for.
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE sample_pool AS
        SELECT p.cio_id, l.cio_id IS NOT NULL AS linked,
            CAST(concat('0x', left(md5(concat({literal(f"sample/{seed}/")}, p.cio_id)), 15)) AS BIGINT) AS place
        FROM {PERSONS} AS p LEFT JOIN (
            SELECT DISTINCT cio_id FROM {LINKS} WHERE record_id IS NOT NULL AND destination IN ({places})
        ) AS l ON l.cio_id = p.cio_id"""
    )


def _inside(activation: Activation) -> str:
    """Return the SELECT of who is in which audience, ghosts left out: of them nothing is delivered."""
    names = ", ".join(map(literal, activation.audiences)) or "NULL"
    return f"""SELECT cio_id, audience, entered_at FROM {AUDIENCE_MEMBERSHIPS}
        WHERE exited_at IS NULL AND NOT coalesce(ghost, FALSE) AND audience IN ({names})"""


def _audiences(activation: Activation) -> str:
    newest = "concat(strftime(m.entered_at, '%Y-%m-%dT%H:%M:%S'), lpad(CAST(p.place AS VARCHAR), 19, '0'))"
    return f"""SELECT '{Of.AUDIENCE}' AS "of", m.audience AS name, '' AS label, count(*) AS people,
            max_by(p.place, {newest}, {MOST}) AS first
        FROM ({_inside(activation)}) AS m JOIN sample_pool AS p ON p.cio_id = m.cio_id GROUP BY m.audience"""


def _in_none() -> str:
    return f"""SELECT '{Of.NONE}' AS "of", '' AS name, '' AS label, count(*) AS people,
            {_FIRST} AS first
        FROM sample_order AS o WHERE NOT EXISTS (
            SELECT 1 FROM {AUDIENCE_MEMBERSHIPS} AS m WHERE m.cio_id = o.cio_id AND m.exited_at IS NULL
        ) HAVING count(*) > 0"""


def _values(con: Connection, activation: Activation) -> None:
    """Add a stratum for each value that somebody has: one join a lane, then a look at each column."""
    for lane in Lane:
        table = f"state.{lane}_properties"
        there = {row[0] for row in con.execute(f"DESCRIBE {table}").fetchall()} if exists(con, table) else set()
        names = [p.name for p in closed(activation) if p.lane is lane and p.name in there]
        if not names:
            continue
        columns = ", ".join(f"CAST(s.{identifier(name)} AS VARCHAR) AS {identifier(name)}" for name in names)
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE sample_values AS
            SELECT o.turn, {columns} FROM {table} AS s JOIN sample_order AS o ON o.cio_id = s.cio_id"""
        )
        for name in names:
            con.execute(
                f"""INSERT INTO sample_strata BY NAME
                SELECT '{Of.PROPERTY}' AS "of", {literal(name)} AS name, {identifier(name)} AS label,
                    count(*) AS people, {_FIRST} AS first
                FROM sample_values AS o WHERE {identifier(name)} IS NOT NULL GROUP BY {identifier(name)}"""
            )


def closed(activation: Activation) -> list[Property]:
    """Return the properties with a closed set of values."""
    return [p for p in activation.properties.values() if p.type in (PropertyType.ENUM, PropertyType.FLAG)]


def labels(prop: Property) -> tuple[str, ...]:
    """Return the values that a property with a closed set can have."""
    return tuple(prop.labels or ("true", "false"))


def _counted(con: Connection, activation: Activation) -> list[Stratum]:
    """Return all strata in the activation's order, those that nobody is in too."""
    rows = con.execute('SELECT "of", name, label, people FROM sample_strata').fetchall()
    counts = {(str(of), str(name), str(label)): int(people) for of, name, label, people in rows}
    wanted = [(Of.AUDIENCE, name, "") for name in activation.audiences]
    wanted += [(Of.PROPERTY, p.name, label) for p in closed(activation) for label in labels(p)]
    wanted += [(Of.NONE, "", "")]
    return [
        Stratum(of=of, name=name, label=label, people=counts.get((of.value, name, label), 0))
        for of, name, label in wanted
    ]
