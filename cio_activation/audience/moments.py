"""What an audience reads of moments: counts in its expressions, and the moment it starts from.

A moment counts by its own time, up to the as-of, however late it came. One that an audience starts from makes its
person a candidate until ``expires_after`` has passed since. Of several the newest counts. It lets its person in once:
each entry remembers the newest moment it was open for (``moment_id``, ``moment_at`` of ``audience.memberships``), and
what is not newer than that of the person's entries is used up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from cio_activation.activation.models import Activation, AttributeType, Audience
from cio_activation.activation.moment_terms import MomentCount
from cio_activation.activation.moment_where import Field, Where, parse_where
from cio_activation.activation.windows import Window
from cio_activation.warehouse import change_log
from cio_activation.warehouse.scope import Scope
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import identifier, literal, timestamp
from cio_activation.warehouse.tables import AUDIENCE_MEMBERSHIPS, MOMENTS

COUNTS = "moment_counts"
"""Temporary: ``cio_id``, and the columns of each :class:`MomentCount` that the audience asks for."""
NEWEST = "moments_now"
"""Temporary: each candidate's newest moment of those that the audience starts from."""
MOMENT_ID, MOMENT_AT, FIELDS = (identifier(f"moment:{name}") for name in ("id", "at", "fields"))
"""Columns of the newest moment: its event's id, when it happened, and what of its body ``where`` reads, as JSON."""
_PERSON, _BODY = (identifier(f"moment:{name}") for name in ("person", "body"))
_USABLE = "problem IS NULL AND NOT machine AND cio_id IS NOT NULL"


class Asking(Protocol):
    """Of ``audience.inputs.Inputs`` what is needed here: who asks, for whom, and as of when."""

    @property
    def activation(self) -> Activation:
        """The rules."""

    @property
    def audience(self) -> Audience:
        """The audience that asks."""

    @property
    def window(self) -> Window:
        """The window that is decided."""

    @property
    def as_of(self) -> datetime:
        """Its end, naive UTC."""

    @property
    def scope(self) -> Scope:
        """Whom the decision looks at."""

    @property
    def moment_counts(self) -> tuple[MomentCount, ...]:
        """What the audience's expressions ask for."""


def statements(inputs: Asking) -> dict[str, str]:
    """Return the SELECTs of what the audience reads of moments, each under its temporary table; of most nothing."""
    found = {COUNTS: _counts(inputs)} if inputs.moment_counts else {}
    return found | ({NEWEST: _newest(inputs)} if inputs.audience.moment is not None else {})


def columns(inputs: Asking) -> list[str]:
    """Return what stands of moments beside each person, for :func:`joins`."""
    found = []
    for count in inputs.moment_counts:
        number, newest = identifier(count.column), identifier(count.newest)
        found += [f"coalesce({COUNTS}.{number}, 0) AS {number}", f"{COUNTS}.{newest}"]
    if inputs.audience.moment is not None:
        found += [f"{NEWEST}.{column}" for column in (MOMENT_ID, MOMENT_AT, FIELDS)]
    return found


def joins(inputs: Asking) -> list[str]:
    """Return the joins that give :func:`columns`; ``p`` are the people."""
    return [f"LEFT JOIN {table} ON {table}.cio_id = p.cio_id" for table in statements(inputs)]


def members(inputs: Asking) -> str:
    """Return the SELECT of ``cio_id`` of whoever has a moment that counts, or is in because of one."""
    name = literal(inputs.audience.name)
    return f"""SELECT cio_id FROM {NEWEST} UNION
        SELECT cio_id FROM {AUDIENCE_MEMBERSHIPS}
        WHERE audience = {name} AND exited_at IS NULL{inputs.scope.condition()}"""


def used(inputs: Asking) -> str:
    """Return the SELECT of ``cio_id``, the newest moment that an entry was open for, and when a human last acted."""
    name = literal(inputs.audience.name)
    handled, acts = "NULL", ""
    if inputs.audience.touch:
        acted = "a.handled_at" if inputs.audience.outcomes is None else "coalesce(a.handled_at, a.outcome_at)"
        handled, acts = f"max({acted})", "LEFT JOIN acts AS a ON a.entry_id = m.entry_id"
    return f"""
        SELECT m.cio_id, max(m.moment_at) AS used_at, arg_max(m.moment_id, (m.moment_at, m.moment_id)) AS used_id,
            CAST({handled} AS TIMESTAMP) AS acted_at
        FROM (
            SELECT cio_id, entry_id, moment_at, moment_id FROM {AUDIENCE_MEMBERSHIPS}
            WHERE audience = {name} AND moment_at IS NOT NULL{inputs.scope.condition()}
        ) AS m {acts}
        GROUP BY m.cio_id"""


def over(inputs: Asking, instant: str) -> str:
    """Return SQL for: a moment of ``instant`` (SQL) has had its time."""
    span = inputs.audience.expires_after
    return f"{instant} <= {timestamp(inputs.as_of - span)}" if span is not None else "FALSE"


def keep_newest(con: Connection, inputs: Asking) -> None:
    """Note with each entry that stays open the newest moment of its person: it is open for that one too."""
    if inputs.audience.moment is None:
        return
    name = literal(inputs.audience.name)
    newer = f"(m.moment_at IS NULL OR (n.{MOMENT_AT}, n.{MOMENT_ID}) > (m.moment_at, m.moment_id))"
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE moments_kept AS
        SELECT m.cio_id, n.{MOMENT_ID} AS moment_id, n.{MOMENT_AT} AS moment_at
        FROM {AUDIENCE_MEMBERSHIPS} AS m JOIN {NEWEST} AS n ON n.cio_id = m.cio_id
        WHERE m.audience = {name} AND m.exited_at IS NULL AND {newer}"""
    )
    con.execute(
        f"""UPDATE {AUDIENCE_MEMBERSHIPS} AS m SET moment_id = k.moment_id, moment_at = k.moment_at
        FROM moments_kept AS k WHERE m.audience = {name} AND m.exited_at IS NULL AND m.cio_id = k.cio_id"""
    )
    change_log.note(con, AUDIENCE_MEMBERSHIPS, "SELECT cio_id FROM moments_kept")


def told_of_counts(row: str, counts: Iterable[MomentCount]) -> str:
    """Return SQL for the JSON of what was asked about moments: how many of each, and when the newest happened."""
    pairs = (
        f"{literal(str(c))}, json_object('times', {row}.{identifier(c.column)}, 'newest', {row}.{identifier(c.newest)})"
        for c in counts
    )
    return f"json_object({', '.join(pairs)})"


def told_of_source(row: str, audience: Audience) -> str:
    """Return SQL for the JSON of the moment somebody came by: of its body only what ``where`` reads."""
    name = audience.moment.name if audience.moment is not None else ""
    event = f"'event_id', {row}.{MOMENT_ID}, 'name', {literal(name)}, 'occurred_at', {row}.{MOMENT_AT}"
    fields = f", 'fields', {row}.{FIELDS}" if _where(audience) is not None else ""
    return f"json_object({event}{fields})"


def _where(audience: Audience) -> Where | None:
    text = audience.moment.where if audience.moment is not None else None
    return parse_where(text) if text is not None else None


def _counts(inputs: Asking) -> str:
    """Return the SELECT of how many moments people had, once per name and span that is asked for."""
    listed = ["cio_id"]
    for count in inputs.moment_counts:
        inside = f"kind = {literal(count.name)} AND occurred_at > {timestamp(inputs.as_of - count.within)}"
        listed.append(f"count(*) FILTER ({inside}) AS {identifier(count.column)}")
        listed.append(f"max(occurred_at) FILTER ({inside}) AS {identifier(count.newest)}")
    names = ", ".join(literal(name) for name in sorted({count.name for count in inputs.moment_counts}))
    longest = max(count.within for count in inputs.moment_counts)
    return f"""SELECT {", ".join(listed)} FROM {MOMENTS}
        WHERE {_USABLE} AND kind IN ({names}) AND occurred_at <= {timestamp(inputs.as_of)}
            AND occurred_at > {timestamp(inputs.as_of - longest)}{inputs.scope.condition()}
        GROUP BY cio_id"""


def _newest(inputs: Asking) -> str:
    """Return the SELECT of each person's newest moment that the audience starts from: one that counts still.

    And of those whose moment became known in this window, after its time: that is told once. Of an entry that is open
    its own moment is there in any case, for what is told of it.
    """
    audience, where = inputs.audience, _where(inputs.audience)
    name = audience.moment.name if audience.moment is not None else ""
    fields = where.fields if where is not None else ()
    read = "".join(f", {_read(field)} AS {identifier(field.path)}" for field in fields)
    told = ", ".join(f"{literal(field.path)}, {_shown(inputs.activation, field)}" for field in fields)
    entered = f"""(SELECT moment_id FROM {AUDIENCE_MEMBERSHIPS}
        WHERE audience = {literal(audience.name)} AND exited_at IS NULL AND moment_id IS NOT NULL)"""
    counts = f"(NOT {over(inputs, 'occurred_at')} OR named_in = {literal(inputs.window.key)} OR event_id IN {entered})"
    holds = f" WHERE {where.sql} OR {MOMENT_ID} IN {entered}" if where is not None else ""
    # A field can be called anything, cio_id too: beside fields there are only names that none can have.
    return f"""SELECT {_PERSON} AS cio_id, {MOMENT_ID}, {MOMENT_AT}, {FIELDS} FROM (
            SELECT {_PERSON}, {MOMENT_ID}, {MOMENT_AT}, json_object({told}) AS {FIELDS}, row_number() OVER (
                PARTITION BY {_PERSON} ORDER BY {MOMENT_AT} DESC, {MOMENT_ID} DESC) AS "moment:place"
            FROM (
                SELECT {_PERSON}, {MOMENT_ID}, {MOMENT_AT}{read} FROM (
                    SELECT cio_id AS {_PERSON}, event_id AS {MOMENT_ID}, occurred_at AS {MOMENT_AT}, body AS {_BODY}
                    FROM {MOMENTS}
                    WHERE {_USABLE} AND kind = {literal(name)} AND occurred_at <= {timestamp(inputs.as_of)}
                        AND {counts}{inputs.scope.condition()}
                )
            ){holds}
        ) WHERE "moment:place" = 1"""


def _read(field: Field) -> str:
    """Return SQL for a field of a body; NULL where it is not there, or cannot be read as what it is compared with."""
    path = "$" + "".join(f'."{step}"' for step in field.steps)
    text = f"json_extract_string({_BODY}, {literal(path)})"
    if field.type is AttributeType.NUMBER:
        number = f"TRY_CAST({text} AS DOUBLE)"
        return f"CASE WHEN isfinite({number}) THEN {number} END"
    return f"TRY_CAST({text} AS BOOLEAN)" if field.type is AttributeType.BOOLEAN else text


def _shown(activation: Activation, field: Field) -> str:
    """Return SQL for a field as evidence shows it: contact data never goes in."""
    profile = activation.profile
    personal = {"email", "phone", "first_name", "last_name", "name"}
    personal |= {part for part in (profile.phone, profile.first_name, profile.last_name) if part is not None}
    return "'(personal, not kept)'" if field.steps[-1].lower() in personal else identifier(field.path)
