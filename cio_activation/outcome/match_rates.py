"""How people were matched with the records of each destination: each under one outcome, window by window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cio_activation.activation.windows import Window
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, scalar, timestamp
from cio_activation.warehouse.tables import MATCH_RATES

WINDOWS = 14
"""Windows that are shown."""


class Outcome(StrEnum):
    """What became of looking for somebody's record."""

    KEY = "key"
    EMAIL = "email"
    PHONE = "phone"
    CREATED = "created"
    CLASHING = "clashing"
    AMBIGUOUS = "ambiguous"
    NO_IDENTIFIER = "no_identifier"
    GONE = "gone"
    NOT_FOUND = "not_found"
    NOT_ASKED = "not_asked"


MATCHED = (Outcome.KEY, Outcome.EMAIL, Outcome.PHONE)
MEANING: Mapping[Outcome, str] = {
    Outcome.KEY: "the record carried our id",
    Outcome.EMAIL: "by e-mail",
    Outcome.PHONE: "by phone",
    Outcome.CREATED: "there was none, and one was made",
    Outcome.CLASHING: "what would match is another person's",
    Outcome.AMBIGUOUS: "several records would match, so none does",
    Outcome.NO_IDENTIFIER: "nothing identifies them there",
    Outcome.GONE: "the record was deleted, and nothing took its place",
    Outcome.NOT_FOUND: "there is none, and none is made",
    Outcome.NOT_ASKED: "nobody has looked for them yet",
}
_OURS = "'cio_id', 'external_id'"
"""What ``delivery.links.matched_by`` says where a record carried our id."""


@dataclass(frozen=True)
class MatchRate:
    """The people of one destination and window with one outcome."""

    destination: str
    window_key: str
    outcome: Outcome
    people: int
    in_audiences: int


def matched_at(con: Connection, destinations: Sequence[str]) -> list[str]:
    """Return those of ``destinations`` that people have records at."""
    there = {str(name) for (name,) in con.execute("SELECT DISTINCT destination FROM delivery.links").fetchall()}
    return [name for name in destinations if name in there]


def update(con: Connection, destinations: Sequence[str], window: Window) -> bool:
    """Count how everybody is matched now, as of ``window``; False, and nothing is done, if a newer one was counted."""
    newest = scalar(con, f"SELECT max(window_end) FROM {MATCH_RATES}")
    if newest is not None and str(newest) > str(window.as_of):
        return False
    con.execute(f"DELETE FROM {MATCH_RATES} WHERE window_key = ?", [window.key])
    for name in destinations:
        con.execute(
            f"""INSERT INTO {MATCH_RATES} BY NAME
            SELECT {literal(name)} AS destination, {literal(window.key)} AS window_key,
                   {timestamp(window.as_of)} AS window_end, outcome, count(*) AS people,
                   count(*) FILTER (in_audience) AS in_audiences
            FROM ({_everybody(name)}) GROUP BY outcome"""
        )
    return True


def newest(con: Connection) -> list[MatchRate]:
    """Return the last ``WINDOWS`` windows, the newest first, in the order of outcomes."""
    order = ", ".join(literal(str(o)) for o in Outcome)
    rows = con.execute(
        f"""SELECT destination, window_key, outcome, people, in_audiences FROM {MATCH_RATES}
        WHERE window_end IN (SELECT DISTINCT window_end FROM {MATCH_RATES} ORDER BY 1 DESC LIMIT {WINDOWS})
        ORDER BY window_end DESC, destination, list_position([{order}], outcome)"""
    ).fetchall()
    return [MatchRate(where, key, Outcome(outcome), people, inside) for where, key, outcome, people, inside in rows]


def matched_share(found: Sequence[MatchRate]) -> dict[str, dict[str, float]]:
    """Return destination -> window -> the share of those who were looked for, whose record was there; oldest first."""
    shares: dict[str, dict[str, float]] = {}
    for one in reversed(found):
        shares.setdefault(one.destination, {}).setdefault(one.window_key, 0.0)
    for destination, windows in shares.items():
        for key in windows:
            of = [r for r in found if (r.destination, r.window_key) == (destination, key)]
            asked = sum(r.people for r in of if r.outcome is not Outcome.NOT_ASKED)
            windows[key] = sum(r.people for r in of if r.outcome in MATCHED) / asked if asked else 0.0
    return dict(sorted(shares.items()))


def _everybody(destination: str) -> str:
    """Return a SELECT of everybody with their outcome; what comes first in it goes before the rest."""
    place = literal(destination)
    return f"""
    SELECT p.cio_id, i.cio_id IS NOT NULL AS in_audience, CASE
        WHEN l.record_id IS NOT NULL THEN CASE
            WHEN l.matched_by = 'created' THEN '{Outcome.CREATED}' WHEN l.matched_by = 'phone' THEN '{Outcome.PHONE}'
            WHEN l.matched_by IN ({_OURS}) THEN '{Outcome.KEY}' ELSE '{Outcome.EMAIL}' END
        WHEN k.cio_id IS NOT NULL OR l.matched_by = 'email_taken' THEN '{Outcome.CLASHING}'
        WHEN a.cio_id IS NOT NULL THEN '{Outcome.AMBIGUOUS}'
        WHEN g.cio_id IS NOT NULL THEN '{Outcome.GONE}'
        WHEN l.cio_id IS NOT NULL AND p.deliverable THEN '{Outcome.NOT_FOUND}'
        WHEN p.undeliverable_reason = 'e-mail belongs to another person' THEN '{Outcome.CLASHING}'
        WHEN NOT p.deliverable THEN '{Outcome.NO_IDENTIFIER}'
        ELSE '{Outcome.NOT_ASKED}' END AS outcome
    FROM identity.persons AS p
    LEFT JOIN delivery.links AS l ON l.destination = {place} AND l.cio_id = p.cio_id
    LEFT JOIN (SELECT DISTINCT cio_id FROM delivery.key_clashes WHERE destination = {place}) AS k ON k.cio_id = p.cio_id
    LEFT JOIN (SELECT DISTINCT cio_id FROM delivery.gone_records WHERE destination = {place}) AS g
        ON g.cio_id = p.cio_id
    LEFT JOIN (
        SELECT DISTINCT cio_id FROM quarantine.rows
        WHERE layer = 'payload' AND reason ILIKE {literal(f"several {destination} %")}
    ) AS a ON a.cio_id = p.cio_id
    LEFT JOIN (SELECT DISTINCT cio_id FROM audience.memberships WHERE exited_at IS NULL AND NOT ghost) AS i
        ON i.cio_id = p.cio_id"""
