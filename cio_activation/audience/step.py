"""One step of an audience's state machine, set-based: who enters, who leaves and why, who waits.

    (not eligible) --in segment, gate holds--> waiting --grace over--> in --purchase, expiry--> spent
          ^--------------------- segment or gate lost, person deleted ------------------------------|

A spent person stays out until eligibility was lost once. A purchase while waiting spends the spell as well. Nobody
enters a touch audience, whose members a human acts for, on a stale value: who would waits, and who is in stays.
"""

from __future__ import annotations

from datetime import timedelta

from cio_activation.activation.durations import format_duration
from cio_activation.audience.inputs import BOUGHT_AT, STALE, Inputs
from cio_activation.warehouse import change_log
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal, timestamp

MEMBERSHIPS = "audience.memberships"


def decide(con: Connection, inputs: Inputs) -> None:
    """Fill the temporary table ``decided`` with everyone whose place in the audience changes.

    Columns: ``cio_id``, ``since``, ``bought_before``, ``stage`` (NULL: not eligible any more), ``exit_reason``
    (NULL: no interval to close), ``enters``.
    """
    for table, select in statements(inputs).items():
        con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {select}")


def statements(inputs: Inputs) -> dict[str, str]:
    """Return the SELECTs a decision is made of, each under the temporary table it fills, in their order."""
    return {"eligible_now": inputs.eligible(), "known": _known(inputs), "decided": _decisions(inputs)}


def apply(con: Connection, inputs: Inputs) -> None:
    """Carry ``decided`` into the intervals and the spells of eligibility."""
    name, as_of = literal(inputs.audience.name), timestamp(inputs.as_of)
    con.execute(
        f"""UPDATE audience.memberships AS m
        SET exited_at = {as_of}, exit_window = {literal(inputs.window.key)}, exit_reason = d.exit_reason
        FROM decided AS d
        WHERE m.audience = {name} AND m.exited_at IS NULL AND m.cio_id = d.cio_id AND d.exit_reason IS NOT NULL"""
    )
    con.execute(
        f"""INSERT INTO audience.memberships
            (audience, version, cio_id, entered_at, entry_window, entry_reason, evidence)
        SELECT {name}, {inputs.audience.version}, d.cio_id, {as_of}, {literal(inputs.window.key)},
            {literal(entry_reason(inputs))}, {inputs.evidence("i", "d.since")}
        FROM decided AS d JOIN ({inputs.rows("SELECT cio_id FROM decided WHERE enters")}) AS i ON i.cio_id = d.cio_id"""
    )
    con.execute(f"DELETE FROM audience.eligibility WHERE audience = {name} AND cio_id IN (SELECT cio_id FROM decided)")
    con.execute(
        f"""INSERT INTO audience.eligibility (audience, cio_id, since, stage, bought_before)
        SELECT {name}, cio_id, since, stage, bought_before FROM decided WHERE stage IS NOT NULL"""
    )
    change_log.note(con, MEMBERSHIPS, "SELECT cio_id FROM decided WHERE enters OR exit_reason IS NOT NULL")


def entry_reason(inputs: Inputs) -> str:
    """Return why people enter, in words: ``segment 12 and gate held for 2h``."""
    audience = inputs.audience
    reason = f"segment {audience.segment}" + (" and gate" if inputs.gate is not None else "")
    return f"{reason} held for {format_duration(audience.grace)}" if audience.grace else reason


def _known(inputs: Inputs) -> str:
    """Return the SELECT of everyone with a spell or an open interval.

    The interval has the last word on who is in: a person who is in is never entered twice.
    """
    name, in_scope = literal(inputs.audience.name), inputs.scope.condition()
    return f"""
        SELECT coalesce(e.cio_id, o.cio_id) AS cio_id, coalesce(e.since, o.entered_at) AS since,
            CASE WHEN o.cio_id IS NOT NULL THEN 'in' WHEN e.stage = 'in' THEN 'spent' ELSE e.stage END AS stage,
            e.bought_before, o.entered_at, o.version
        FROM (SELECT * FROM audience.eligibility WHERE audience = {name}{in_scope}) AS e
        FULL JOIN (SELECT * FROM audience.memberships WHERE audience = {name} AND exited_at IS NULL{in_scope}) AS o
            ON o.cio_id = e.cio_id"""


def _decisions(inputs: Inputs) -> str:
    audience, as_of = inputs.audience, timestamp(inputs.as_of)
    expired = f"entered_at <= {timestamp(inputs.as_of - audience.expires_after)}" if audience.expires_after else "FALSE"
    stale = "stale" if audience.touch else "FALSE"
    bought = _bought(inputs) if inputs.ends_with_purchase else "FALSE"
    return f"""
        WITH joined AS ({_joined(inputs, as_of)}),
        judged AS (
            SELECT *, {bought} AS bought, {expired} AS expired,
                version IS NOT DISTINCT FROM {audience.version} OR (before = 'in' AND {stale}) AS same_version
            FROM joined
        ),
        staged AS (
            SELECT *, CASE
                WHEN NOT eligible THEN NULL
                WHEN before = 'spent' OR bought THEN 'spent'
                WHEN before = 'in' AND same_version THEN CASE WHEN expired THEN 'spent' ELSE 'in' END
                WHEN since <= {timestamp(inputs.as_of - audience.grace)} AND NOT {stale} THEN 'in'
                ELSE 'waiting' END AS stage,
            CASE
                WHEN entered_at IS NULL THEN NULL
                WHEN NOT present THEN 'deleted'
                WHEN bought THEN 'purchase'
                WHEN NOT member THEN 'left_segment'
                WHEN NOT eligible THEN 'gate'
                WHEN NOT same_version THEN 'new_version'
                WHEN expired THEN 'expired' END AS exit_reason
            FROM judged
        )
        SELECT cio_id, since, bought_before, stage, exit_reason,
            coalesce(stage = 'in' AND (before <> 'in' OR before IS NULL OR NOT same_version), FALSE) AS enters
        FROM staged WHERE stage IS DISTINCT FROM before OR exit_reason IS NOT NULL"""


def _bought(inputs: Inputs) -> str:
    """Return SQL for: the purchase moved since the spell began.

    Not "is later than the spell": a real-time window is decided many times before its end, which is the spell's
    begin. Where nothing was known then, anything from that window on is a purchase.
    """
    whole = inputs.window.end - inputs.window.start
    return f"""known AND bought_at IS NOT NULL AND CASE WHEN bought_before IS NULL
        THEN bought_at >= since - to_microseconds({whole // timedelta(microseconds=1)})
        ELSE bought_at > bought_before END"""


def _joined(inputs: Inputs, as_of: str) -> str:
    """Return everyone eligible or known, with what tells why a known one is not eligible any more."""
    lost = "SELECT k.cio_id FROM known AS k ANTI JOIN eligible_now AS e ON e.cio_id = k.cio_id"
    return f"""
        SELECT e.cio_id, TRUE AS eligible, TRUE AS present, TRUE AS member, e.{BOUGHT_AT} AS bought_at,
            k.cio_id IS NOT NULL AS known, k.stage AS before, coalesce(k.since, {as_of}) AS since,
            CASE WHEN k.cio_id IS NULL THEN e.{BOUGHT_AT} ELSE k.bought_before END AS bought_before,
            k.entered_at, k.version, e.{STALE} IS NOT NULL AS stale
        FROM eligible_now AS e LEFT JOIN known AS k ON k.cio_id = e.cio_id
        UNION ALL
        SELECT k.cio_id, FALSE, p.cio_id IS NOT NULL, m.cio_id IS NOT NULL, p.bought_at,
            TRUE, k.stage, k.since, k.bought_before, k.entered_at, k.version, FALSE
        FROM known AS k
        JOIN ({lost}) AS l ON l.cio_id = k.cio_id
        LEFT JOIN (SELECT DISTINCT cio_id FROM ({inputs.members()})) AS m ON m.cio_id = k.cio_id
        LEFT JOIN (
            SELECT cio_id, {inputs.bought_at()} AS bought_at FROM {inputs.people}
            WHERE cio_id IN ({lost})
        ) AS p ON p.cio_id = k.cio_id"""
