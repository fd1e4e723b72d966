"""Whom a moment was about, where the event says it by id or e-mail and not by ``cio_id``.

First whom the warehouse knows by that name, in one statement for all; then, for people it has never seen, Customer.io
(``live.py`` asks). Where an event has an id, the id alone decides; its e-mail is then only stored. Nobody is guessed:
a name that several people bear goes into quarantine.

What is still to be named is found by its state (``cio_id`` and ``problem`` both NULL), so a run killed at any line
loses nobody. Asking ends: after ASKED_AT_MOST answers that Customer.io knows nobody so named, AGAIN_AFTER apart at
least, the moment goes into quarantine. A call without an answer counts for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cio_activation.activation.models import Activation
from cio_activation.activation.windows import Window
from cio_activation.customerio.answers import Identifiers
from cio_activation.customerio.client import AT_ONCE, ATTRIBUTES_PER_CALL, CustomerIO
from cio_activation.customerio.landing import ensure_tables
from cio_activation.customerio.moment_body import METRIC, compared_email
from cio_activation.warehouse import change_log, quarantine, tombstones
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import scalar
from cio_activation.warehouse.tables import MEMBERSHIP_CHANGES, MOMENTS, PEOPLE_CURRENT

LAYER = "moments"
EVENT_NAME = "source || ' ' || event_id"
"""SQL over ``raw.moments``: what an entry in quarantine knows its moment by."""
TELLING = ("clicked", "converted", "unsubscribed", "subscribed", "cio_subscription_preferences_changed", "replied")
"""Metrics of reporting events after which a person's attributes are fetched anew. Not ``sent`` and the like: one
campaign to everybody would fetch everybody."""
TELLS = f"NOT machine AND (source = 'journey' OR {METRIC} IN ({', '.join(repr(m) for m in TELLING)}))"
"""SQL over ``raw.moments``: its person's attributes may have changed with it."""
SEVERAL = "several people with this e-mail"
UNKNOWN = "nobody at Customer.io"

ASKED_AT_MOST = 3
AGAIN_AFTER = timedelta(minutes=1)
"""A profile just made may take a while to be found. As every window has a run, three answers take three windows."""
IDS_PER_RUN = 1_000
"""Ten calls."""
EMAILS_PER_RUN = 50
"""One call each, as only that answer says whether several people have the e-mail: eight seconds of the lane's rate."""

_TO_NAME = f"cio_id IS NULL AND problem IS NULL AND {TELLS}"
_BY_EMAIL = "CASE WHEN external_id IS NULL THEN email END"


@dataclass(frozen=True)
class Named:
    """What it came to: moments by what led to their person, people noted to be fetched, moments given up."""

    named: dict[str, int] = field(default_factory=dict)
    people: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Questions:
    """Names to ask Customer.io for now, each once; ``waiting`` counts those left for the next run."""

    ids: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    waiting: int = 0


@dataclass(frozen=True)
class Answers:
    """Who bears each name that was asked for: nobody, one or several."""

    ids: Mapping[str, tuple[Identifiers, ...]] = field(default_factory=dict)
    emails: Mapping[str, tuple[Identifiers, ...]] = field(default_factory=dict)

    @property
    def found(self) -> list[Identifiers]:
        """The people who alone bear a name."""
        alone = [who[0] for who in (*self.ids.values(), *self.emails.values()) if len({p.cio_id for p in who}) == 1]
        return list({person.cio_id: person for person in alone}.values())


def unnamed(con: Connection) -> int:
    """Return how many moments are still to be named."""
    return int(str(scalar(con, f"SELECT count(*) FROM {MOMENTS} WHERE {_TO_NAME}")))


def name_known(con: Connection, activation: Activation, window: Window, now: datetime) -> Named:
    """Name the moments of people whom the warehouse knows; ``now`` (naive UTC) stamps whom to fetch.

    An id that two rows have is left for Customer.io to tell: it is one person's there, and one of the rows is old.
    """
    ensure_tables(con, activation)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE answers AS "
        "SELECT 'id' AS named_by, external_id AS value, min(cio_id) AS cio_id, count(*) AS people "
        f"FROM {PEOPLE_CURRENT} WHERE external_id IN (SELECT external_id FROM {MOMENTS} WHERE {_TO_NAME}) "
        "GROUP BY external_id HAVING count(*) = 1 "
        f"UNION ALL SELECT 'email', {compared_email('email')} AS value, min(cio_id), count(*) "
        f"FROM {PEOPLE_CURRENT} "
        f"WHERE {compared_email('email')} IN (SELECT {_BY_EMAIL} FROM {MOMENTS} WHERE {_TO_NAME}) "
        "GROUP BY value"
    )
    return _settle(con, window, now)


def questions(con: Connection, now: datetime) -> Questions:
    """Return whom to ask Customer.io for: names never asked for first, then the oldest events'."""
    due = f"{_TO_NAME} AND (asked_at IS NULL OR asked_at <= ?)"

    def listed(name: str, limit: int) -> tuple[tuple[str, ...], int]:
        rows = con.execute(
            f"SELECT {name} AS value FROM {MOMENTS} WHERE {due} AND value IS NOT NULL "
            "GROUP BY value ORDER BY min(coalesce(asked, 0)), min(received_at), value",
            [now - AGAIN_AFTER],
        ).fetchall()
        return tuple(str(value) for (value,) in rows[:limit]), max(0, len(rows) - limit)

    ids, more_ids = listed("external_id", IDS_PER_RUN)
    emails, more_emails = listed(_BY_EMAIL, EMAILS_PER_RUN)
    return Questions(ids, emails, more_ids + more_emails)


async def ask(client: CustomerIO, asked: Questions) -> Answers:
    """Ask Customer.io who bears these names. Raises VendorError if one of the calls stays without an answer."""
    at_once = asyncio.Semaphore(AT_ONCE)

    async def by_id(batch: tuple[str, ...]) -> dict[str, tuple[Identifiers, ...]]:
        async with at_once:
            found = await client.people_with_ids(batch)
        return {name: ((found[name],) if name in found else ()) for name in batch}

    async def by_email(email: str) -> dict[str, tuple[Identifiers, ...]]:
        async with at_once:
            return {email: await client.people_with_email(email)}

    starts = range(0, len(asked.ids), ATTRIBUTES_PER_CALL)
    ids = await asyncio.gather(*(by_id(asked.ids[s : s + ATTRIBUTES_PER_CALL]) for s in starts))
    emails = await asyncio.gather(*(by_email(email) for email in asked.emails))
    return Answers({k: v for part in ids for k, v in part.items()}, {k: v for part in emails for k, v in part.items()})


def settle(con: Connection, window: Window, answers: Answers, now: datetime) -> Named:
    """Write down what Customer.io answered at ``now`` (naive UTC); call in the transaction that lands the people."""
    rows = [("id", value, {p.cio_id for p in who}) for value, who in answers.ids.items()]
    rows += [("email", value, {p.cio_id for p in who}) for value, who in answers.emails.items()]
    if not rows:
        return Named()
    con.execute(
        "CREATE OR REPLACE TEMP TABLE answers AS SELECT unnest(?::VARCHAR[]) AS named_by, "
        "unnest(?::VARCHAR[]) AS value, unnest(?::VARCHAR[]) AS cio_id, unnest(?::BIGINT[]) AS people",
        [
            [r[0] for r in rows],
            [r[1] for r in rows],
            [min(r[2], default=None) for r in rows],
            [len(r[2]) for r in rows],
        ],
    )
    return _settle(con, window, now)


def _settle(con: Connection, window: Window, now: datetime) -> Named:
    """Apply ``answers`` (named_by, value, cio_id, people) to the moments that are still to be named."""
    con.execute(
        "CREATE OR REPLACE TEMP TABLE settled AS "
        "SELECT m.rowid AS place, m.source, m.event_id, m.external_id, m.body, a.named_by, a.people, "
        "CASE WHEN a.people = 1 THEN a.cio_id END AS cio_id, "
        "coalesce(m.asked, 0) + CAST(a.people = 0 AS INTEGER) AS asked, "
        f"CASE WHEN a.people > 1 THEN '{SEVERAL}' "
        f"WHEN a.people = 0 AND coalesce(m.asked, 0) + 1 >= {ASKED_AT_MOST} THEN '{UNKNOWN}' END AS problem "
        f"FROM (SELECT rowid, * FROM {MOMENTS} WHERE {_TO_NAME}) AS m JOIN answers AS a "
        "ON a.value = coalesce(m.external_id, m.email) "
        "AND a.named_by = CASE WHEN m.external_id IS NULL THEN 'email' ELSE 'id' END"
    )
    con.execute(
        f"UPDATE {MOMENTS} AS m SET cio_id = s.cio_id, problem = s.problem, "
        "named_by = CASE WHEN s.cio_id IS NOT NULL THEN s.named_by END, "
        "named_in = CASE WHEN s.cio_id IS NOT NULL THEN ? END, "
        "asked = nullif(s.asked, 0), asked_at = CASE WHEN s.people = 0 THEN ? ELSE m.asked_at END "
        "FROM settled AS s WHERE m.rowid = s.place",
        [window.key, now],
    )
    tombstones.drop(con, MOMENTS, where="rowid IN (SELECT place FROM settled)")
    tombstones.drop(con, "settled")
    change_log.note(con, MOMENTS, "SELECT cio_id FROM settled")
    quarantine.enter(
        con,
        LAYER,
        window,
        f"SELECT NULL, named_by, problem, {EVENT_NAME}, CAST(body AS VARCHAR) FROM settled WHERE problem IS NOT NULL",
    )
    people = con.execute(
        f"INSERT INTO {MEMBERSHIP_CHANGES} SELECT NULL, cio_id, max(external_id), 'moment', ? FROM settled "
        "WHERE cio_id IS NOT NULL GROUP BY cio_id",
        [now],
    ).fetchall()[0][0]
    named = con.execute("SELECT named_by, count(*) FROM settled WHERE cio_id IS NOT NULL GROUP BY ALL").fetchall()
    problems = con.execute("SELECT problem, count(*) FROM settled WHERE problem IS NOT NULL GROUP BY ALL").fetchall()
    return Named({str(k): int(n) for k, n in named}, int(people), {str(p): int(n) for p, n in problems})
