"""What went to the CRMs, what it cost, what did not go and why, and how many people are found there."""

from __future__ import annotations

from datetime import datetime, timedelta

from cio_activation.activation.models import Activation
from cio_activation.outcome.report import charts
from cio_activation.outcome.report.page import Section, Table
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import timestamp

DAYS = 28


def writes(con: Connection, _activation: Activation, as_of: datetime) -> Section:
    """Return the section of writes, calls and budgets."""
    since, until = timestamp(as_of - timedelta(days=DAYS)), timestamp(as_of)
    by_day = con.execute(
        f"""SELECT strftime(window_end - INTERVAL 1 SECOND, '%Y-%m-%d'), destination, count(*) FROM delivery.ledger
        WHERE "end" = 'delivered' AND kind <> 'link' AND window_end > {since} AND window_end <= {until}
        GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    calls = con.execute(
        f"""SELECT destination, lane, coalesce(sum(calls), 0)::BIGINT, coalesce(sum(throttled), 0)::BIGINT,
            coalesce(sum(delivered), 0)::BIGINT, coalesce(round(sum(units)), 0)::BIGINT,
            coalesce(sum(over_budget), 0)::BIGINT
        FROM delivery.plans WHERE window_end > {since} AND window_end <= {until} GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    waiting = con.execute(
        """SELECT destination, step, count(*), strftime(min(since), '%Y-%m-%d') FROM delivery.deferred
        GROUP BY ALL ORDER BY ALL"""
    ).fetchall()
    stopped = con.execute(
        f"""SELECT strftime(window_end, '%Y-%m-%d %H:%M'), destination, step, held, coalesce(note, '')
        FROM delivery.plans WHERE status = 'held' AND window_end > {since}
        ORDER BY window_end DESC, destination, step LIMIT 20"""
    ).fetchall()
    days: dict[str, dict[str, int]] = {}
    for day, destination, count in by_day:
        days.setdefault(str(day), {})[str(destination)] = int(count)
    drawn = [charts.days("Writes delivered by day (UTC)", days, "writes")] if days else []
    return Section(
        "Deliveries and budgets",
        f"What was written in the last {DAYS} days, what it took of each vendor's rate and day, and what had to wait.",
        [
            *drawn,
            Table(
                (
                    "destination",
                    "lane",
                    "calls",
                    "answered 429",
                    "delivered",
                    "tokens or calls of the day",
                    "over budget",
                ),
                calls,
                "Calls and budgets",
                "Nothing was sent.",
            ),
            Table(("destination", "step", "people", "since"), waiting, "Deferred to a later run", "Nobody waits."),
            Table(
                ("window", "destination", "step", "held", "why"),
                stopped,
                "Plans that a guard holds",
                "No plan is held.",
            ),
        ],
    )


def found(con: Connection, _activation: Activation, _as_of: datetime) -> Section:
    """Return the section of match rates."""
    rates = con.execute(
        """WITH people AS (SELECT cio_id, deliverable FROM identity.persons),
        places AS (SELECT DISTINCT destination FROM delivery.links)
        SELECT d.destination, (SELECT count(*) FROM people), (SELECT count(*) FROM people WHERE deliverable),
            count(l.cio_id), printf('%.1f %%', 100.0 * count(l.cio_id) / nullif((SELECT count(*) FROM people), 0))
        FROM places AS d LEFT JOIN delivery.links AS l
            ON l.destination = d.destination AND l.record_id IS NOT NULL AND l.cio_id IN (SELECT cio_id FROM people)
        GROUP BY d.destination ORDER BY d.destination"""
    ).fetchall()
    by = con.execute(
        """SELECT destination, coalesce(matched_by, '?'), count(*) FROM delivery.links
        WHERE record_id IS NOT NULL GROUP BY ALL ORDER BY 1, 3 DESC, 2"""
    ).fetchall()
    without = con.execute(
        """SELECT coalesce(undeliverable_reason, 'undeliverable'), count(*) FROM identity.persons WHERE NOT deliverable
        GROUP BY ALL ORDER BY 2 DESC, 1"""
    ).fetchall()
    return Section(
        "Match rates",
        "How many people have a record in each CRM that is known to be theirs, and how it was found.",
        [
            Table(("destination", "people", "deliverable", "linked", "of all"), rates, "", "No record is linked yet."),
            Table(("destination", "found by", "people"), by, "How records were found"),
            Table(("why", "people"), without, "People who cannot be delivered", "Everybody can."),
        ],
    )


def audited(con: Connection, _activation: Activation, _as_of: datetime) -> Section:
    """Return the section of what the CRMs really held, by the newest audit of each."""
    newest = """SELECT * FROM delivery.audits
        QUALIFY row_number() OVER (PARTITION BY destination ORDER BY ended_at DESC) = 1"""
    audits = con.execute(
        f"""SELECT destination, window_key, population, compared, deviating,
            CASE WHEN low = high THEN printf('%.2f %%', 100.0 * low)
                ELSE printf('%.2f %% to %.2f %%', 100.0 * low, 100.0 * high) END, coalesce(note, '')
        FROM ({newest}) ORDER BY destination"""
    ).fetchall()
    found = con.execute(
        f"""SELECT f.destination, f.kind, f.subject, coalesce(f.name, ''), f.treatment, count(*)
        FROM delivery.audit_findings AS f JOIN ({newest}) AS a ON a.audit_id = f.audit_id
        GROUP BY ALL ORDER BY 6 DESC, 1, 2, 3, 4, 5 LIMIT 30"""
    ).fetchall()
    columns = ("destination", "window", "people with a record", "compared", "deviate", "of all", "note")
    return Section(
        "Read back",
        "What the newest audit of each CRM found to be otherwise than it was acknowledged (docs/audit.md).",
        [
            Table(columns, audits, "", "Nothing was read back yet: `cio-activation audit`."),
            Table(
                ("destination", "found", "what", "name", "becomes", "how many"), found, "Findings", "There are none."
            ),
        ],
    )


def refused(con: Connection, _activation: Activation, _as_of: datetime) -> Section:
    """Return the section of what did not go, by reason; counts only."""
    rejected = con.execute(
        """SELECT destination, kind, coalesce(field, ''), coalesce(reason, '?'), count(*) FROM delivery.rejected
        GROUP BY ALL ORDER BY 5 DESC, 1, 2, 3, 4 LIMIT 30"""
    ).fetchall()
    clashes = con.execute(
        """SELECT destination, match_key, reason, count(*) FROM delivery.key_clashes GROUP BY ALL
        UNION ALL SELECT 'customerio', match_key, reason, count(*) FROM identity.key_clashes GROUP BY ALL
        ORDER BY 4 DESC, 1, 2, 3 LIMIT 30"""
    ).fetchall()
    conflicts = con.execute(
        "SELECT destination, field, count(*) FROM delivery.conflicts GROUP BY ALL ORDER BY 3 DESC, 1, 2 LIMIT 30"
    ).fetchall()
    gone = con.execute("SELECT destination, count(*) FROM delivery.gone_records GROUP BY ALL ORDER BY ALL").fetchall()
    quarantined = con.execute(
        """SELECT layer, coalesce("column", ''), reason, count(*) FROM quarantine.rows GROUP BY ALL
        ORDER BY 4 DESC, 1, 2, 3 LIMIT 30"""
    ).fetchall()
    return Section(
        "Rejects, clashes and conflicts",
        "What a vendor does not take, whom two records or two people could be, and what humans changed. "
        "`cio-activation rejected` lists them with the mend.",
        [
            Table(("destination", "what", "field", "reason", "standing"), rejected, "Rejected", "Nothing stands."),
            Table(("where", "key", "reason", "people"), clashes, "Key clashes", "There are none."),
            Table(("destination", "field", "values"), conflicts, "Changed by humans and kept", "There are none."),
            Table(("destination", "records"), gone, "Records that are gone", "There are none."),
            Table(
                ("layer", "column", "reason", "rows"), quarantined, "Refused by us (quarantine)", "Nothing was refused."
            ),
        ],
    )
