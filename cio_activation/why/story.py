"""The story of one person, newest first, and where they are now, or were at an instant."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cio_activation.warehouse.sql import timestamp
from cio_activation.why import decisions, obstacles, values, writes
from cio_activation.why.decisions import rested_on, withheld
from cio_activation.why.facts import HIDDEN, Asking, Fact, minute

_ORDER = ("value", "entered", "left", "withheld", "dropped", "write", "act")
"""Of facts of one instant, what comes first: what changed, what was decided by it, what was sent."""


@dataclass(frozen=True)
class Place:
    """Where somebody stands in one audience."""

    audience: str
    is_in: bool
    sentence: str
    since: datetime | None
    activation: str | None = None


@dataclass(frozen=True)
class Story:
    """What there is to tell."""

    cio_id: str
    known: bool
    """Whether Customer.io has the person now, as far as was read."""
    undeliverable: str | None
    identifiers: dict[str, str | None] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    actions: list[dict[str, Any]] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    facts: list[Fact] = field(default_factory=list)


def tell(asking: Asking, cio_id: str) -> Story:
    """Return the story of ``cio_id``; as of an instant, if that is asked for."""
    found = [*decisions.facts(asking, cio_id), *writes.facts(asking, cio_id), *writes.acts(asking, cio_id)]
    found += [*values.facts(asking, cio_id), *obstacles.facts(asking, cio_id)]
    profile = asking.rows("FROM identity.persons WHERE cio_id = ?", [cio_id])
    now = asking.as_of is None
    return Story(
        cio_id=cio_id,
        known=bool(profile),
        undeliverable=profile[0]["undeliverable_reason"] if profile else None,
        identifiers=_identifiers(asking, profile[0]) if profile else {},
        records=_records(asking, cio_id) if now else [],
        places=_inside(asking, cio_id) + (_waiting(asking, cio_id) if now else []),
        actions=_actions(asking, cio_id) if now else [],
        values=values.now(asking, cio_id),
        facts=newest_first(found),
    )


def newest_first(facts: list[Fact]) -> list[Fact]:
    """Return what holds now, then the rest from the newest on; of one instant what came last before what led to it."""
    placed = sorted(
        enumerate(facts), key=lambda one: (one[1].as_of or datetime.max, _place(one[1].what), one[0]), reverse=True
    )
    return [fact for _, fact in placed]


def _place(what: str) -> int:
    return _ORDER.index(what) if what in _ORDER else len(_ORDER)


def _identifiers(asking: Asking, profile: dict[str, Any]) -> dict[str, str | None]:
    shown = {name: profile[name] for name in ("email", "external_id", "phone")}
    return {name: value if asking.personal else HIDDEN for name, value in shown.items() if value is not None}


def _records(asking: Asking, cio_id: str) -> list[dict[str, Any]]:
    return asking.rows(
        "SELECT destination, record_id, matched_by, linked_at FROM delivery.links WHERE cio_id = ? ORDER BY ALL",
        [cio_id],
    )


def _inside(asking: Asking, cio_id: str) -> list[Place]:
    """Return the audiences that the person is in, with what let them in."""
    when = "m.exited_at IS NULL"
    if asking.as_of is not None:
        instant = timestamp(asking.as_of)
        when = f"m.entered_at <= {instant} AND (m.exited_at IS NULL OR m.exited_at > {instant})"
    rows = asking.rows(
        f"""SELECT m.*, d.segment_name, d.segment FROM audience.memberships AS m
        LEFT JOIN audience.decisions AS d ON d.cio_id = m.cio_id AND d.entry_id = m.entry_id AND d.as_of = m.entered_at
        WHERE m.cio_id = ? AND {when} ORDER BY m.entered_at DESC, m.audience""",
        [cio_id],
    )
    return [
        Place(
            row["audience"],
            not row["ghost"],
            f"{'held out of' if row['ghost'] else 'in'} {asking.label(row['audience'], row['activation'])} "
            f"since {minute(row['entered_at'])}: {rested_on(asking, row)}",
            row["entered_at"],
            row["activation"],
        )
        for row in rows
    ]


def _waiting(asking: Asking, cio_id: str) -> list[Place]:
    """Return the audiences that the person is kept out of, though eligible."""
    rows = asking.rows(
        """SELECT e.audience, e.code, e.since, d.detail, d.activation FROM audience.eligibility AS e
        LEFT JOIN audience.decisions AS d ON d.cio_id = e.cio_id AND d.audience = e.audience AND d.code = e.code
        WHERE e.cio_id = ? AND e.stage <> 'in'
        QUALIFY row_number() OVER (PARTITION BY e.audience ORDER BY d.sequence DESC NULLS LAST) = 1
        ORDER BY e.audience""",
        [cio_id],
    )
    return [
        Place(
            row["audience"],
            False,
            f"kept out of {asking.label(row['audience'], row['activation'])}, though eligible since "
            f"{minute(row['since'])}: {withheld(asking, row['code'], row['detail'])}",
            row["since"],
            row["activation"],
        )
        for row in rows
        if row["code"] is not None
    ]


def _actions(asking: Asking, cio_id: str) -> list[dict[str, Any]]:
    """Return what a human is asked to do now."""
    return asking.rows(
        """SELECT x.destination, x.kind, x.record_id, x.audience, x.status, x.due_at,
            coalesce(o.email, x.owner_id) AS owner
        FROM delivery.actions AS x
        LEFT JOIN feedback.owners AS o ON o.destination = x.destination AND o.owner_id = x.owner_id
        WHERE x.cio_id = ? AND x.ended_at IS NULL ORDER BY x.due_at""",
        [cio_id],
    )
