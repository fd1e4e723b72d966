"""A sample of profiles, counted: how many have an attribute, of which type it probably is, and where its values lie.

Names and quantiles only leave this module, never a value of a person: a quantile is told from :data:`ENOUGH` people on
and rounded to two figures. Texts have none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import floor, isfinite, log10

from cio_activation.activation.models import AttributeType
from cio_activation.customerio.casting import trimmed, typed_text
from cio_activation.onboarding import meanings
from cio_activation.warehouse.sessions import Connection, scratch

ENOUGH = 20
"""From so many values on a quantile is about a group."""
FITS = 0.9
"""Of the values so many have to read as a type: the rest is dirt, which goes to quarantine."""
SHARES = (0.1, 0.25, 0.33, 0.5, 0.67, 0.8, 0.9, 0.95)
_TYPES = (AttributeType.BOOLEAN, AttributeType.TIMESTAMP, AttributeType.INTEGER, AttributeType.NUMBER)
_DATE = "regexp_full_match(text, '[0-9]{4}-[0-9]{2}-[0-9]{2}')"
_WORDS = "lower(text) IN ('true', 'false', 'yes', 'no', 'y', 'n', 't', 'f', 'on', 'off')"


@dataclass(frozen=True, kw_only=True)
class AttributeFound:
    """One attribute, as the sample has it."""

    name: str
    type: AttributeType
    filled: float
    """Part of the sample's people who have it."""
    personal: bool = False
    quantiles: Mapping[float, float] = field(default_factory=dict)
    """Share -> value, rounded; days since then for times. Empty for texts, and where too few have it."""
    kinds: int = 0
    """How many different values there are."""


def count(profiles: Sequence[Mapping[str, str]], now: datetime) -> tuple[list[AttributeFound], int]:
    """Return the attributes of ``profiles``, most filled first, and how many were left out.

    Those are left out whose names look like values. ``now``: naive UTC.
    """
    names = [name for profile in profiles for name in profile]
    cells = [cell for profile in profiles for cell in profile.values()]
    with scratch() as con:
        con.execute(
            "CREATE TABLE sample AS SELECT unnest(?::VARCHAR[]) AS name, unnest(?::VARCHAR[]) AS cell", [names, cells]
        )
        con.execute(f"CREATE TABLE texts AS SELECT name, {trimmed('cell')} AS text FROM sample")
        reads = ", ".join(f"count({typed_text(kind, 'text')})" for kind in _TYPES)
        times = typed_text(AttributeType.TIMESTAMP, "text")
        rows = con.execute(
            f"""SELECT name, count(text), count(DISTINCT text), count(*) FILTER ({_WORDS}), count(*) FILTER ({_DATE}),
                count(*) FILTER ({times} BETWEEN TIMESTAMP '2000-01-01' AND $now + INTERVAL 15 YEAR), {reads}
            FROM texts WHERE text IS NOT NULL GROUP BY name ORDER BY count(text) DESC, name""",
            {"now": now},
        ).fetchall()
        named = [row for row in rows if meanings.is_a_name(str(row[0]))]
        found = [_attribute(con, len(profiles), now, *row) for row in named]
    return found, len(rows) - len(named)


def _attribute(
    con: Connection,
    people: int,
    now: datetime,
    name: str,
    filled: int,
    kinds: int,
    words: int,
    dates: int,
    times: int,
    *reads: int,
) -> AttributeFound:
    enough = FITS * filled
    readable = dict(zip(_TYPES, reads, strict=True))
    numeric = readable[AttributeType.NUMBER] >= enough
    kind = AttributeType.TEXT
    if words >= enough or (meanings.says_flag(name) and readable[AttributeType.BOOLEAN] >= enough):
        kind = AttributeType.BOOLEAN
    elif times >= enough and (not numeric or meanings.says_time(name)):
        kind = AttributeType.DATE if dates >= enough else AttributeType.TIMESTAMP
    elif numeric and meanings.says_money(name):
        kind = AttributeType.MONEY
    elif readable[AttributeType.INTEGER] >= enough:
        kind = AttributeType.INTEGER
    elif numeric:
        kind = AttributeType.NUMBER
    personal = meanings.is_personal(name)
    told = not personal and kind in meanings.TIMES | meanings.NUMBERS and filled >= ENOUGH
    return AttributeFound(
        name=name,
        type=kind,
        filled=filled / people,
        personal=personal,
        quantiles=_quantiles(con, name, kind, now) if told else {},
        kinds=kinds,
    )


def _quantiles(con: Connection, name: str, kind: AttributeType, now: datetime) -> dict[float, float]:
    """Return where the values lie; of amounts and counts only those above zero, of times the days since then."""
    value = typed_text(kind, "text")
    if kind in meanings.TIMES:
        value = f"date_diff('second', {value}::TIMESTAMP, $now) / 86400.0"
    row = con.execute(
        f"""SELECT quantile_cont(value, {list(SHARES)}), count(value)
        FROM (SELECT ({value})::DOUBLE AS value, $now AS at FROM texts WHERE name = $name) WHERE value > 0""",
        {"now": now, "name": name},
    ).fetchall()[0]
    if row[0] is None or row[1] < ENOUGH:
        return {}
    return {share: rounded(value) for share, value in zip(SHARES, row[0], strict=True) if isfinite(value)}


def rounded(value: float) -> float:
    """Return ``value`` with two figures: 1234 is 1200, 0.0567 is 0.057."""
    if value == 0:
        return 0.0
    places = 1 - floor(log10(abs(value)))
    found = round(value, places)
    return float(found)
