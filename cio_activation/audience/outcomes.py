"""What follows from outcomes: the relations that deciding rests on where an audience reads what humans write.

An outcome belongs to the action it was said of (``feedback.acts``, act ``outcome``); of several the newest counts. One
that asks for another attempt ends nothing while attempts are left: the action was done, and its entry goes on.
"""

from __future__ import annotations

from datetime import timedelta

from cio_activation.activation.outcomes import Outcome, Outcomes
from cio_activation.audience.inputs import Inputs
from cio_activation.warehouse.sql import literal

_NEVER = "CAST(NULL AS TIMESTAMP)"


def acts(inputs: Inputs, outcomes: Outcomes) -> str:
    """Return the SELECT of ``touch.acts``, with each entry's ``outcome`` that ends it, and what that leads to.

    ``quiet_until``: its own cooldown; ``put_off``: the person comes again when ``snoozed_until`` is over.
    """
    said = "(a.destination, a.kind, a.record_id)"
    ends = "a.act = 'outcome' AND NOT coalesce(t.again, FALSE)"
    return f"""
        SELECT a.entry_id, any_value(a.cio_id) AS cio_id,
            min(a.happened_at) FILTER (a.act = 'deleted' OR a.act = 'done' AND NOT coalesce(t.again, FALSE))
                AS handled_at,
            min(a.happened_at) FILTER (a.act = 'withdrawn') AS withdrawn_at,
            greatest(arg_max(a.until, a.happened_at) FILTER (a.act = 'snoozed'), max(t.put_off_until))
                AS snoozed_until,
            arg_max(t.outcome, t.said_at) FILTER ({ends}) AS outcome, max(t.said_at) FILTER ({ends}) AS outcome_at,
            max(t.quiet_until) FILTER ({ends}) AS quiet_until,
            arg_max(t.put_off_until IS NOT NULL, t.said_at) FILTER ({ends}) AS put_off
        FROM (SELECT * FROM feedback.acts WHERE audience = {literal(inputs.audience.name)}) AS a
        LEFT JOIN ({said_of_actions(inputs.audience.name, outcomes)}) AS t
            ON (t.destination, t.kind, t.record_id) = {said}
        GROUP BY a.entry_id"""


def said_of_actions(audience: str, outcomes: Outcomes) -> str:
    """Return the SELECT of each action's newest outcome, and what follows: ``again``, ``quiet_until`` and the like."""
    again = " ".join(
        f"WHEN {literal(str(one))} THEN x.attempt <= {retry.max}" for one, retry in outcomes.retries.items()
    )
    return f"""
        SELECT s.*, x.attempt, {f"CASE s.outcome {again} ELSE FALSE END" if again else "FALSE"} AS again,
            {_after(outcomes, "cooldown")} AS quiet_until, {_put_off(outcomes)} AS put_off_until
        FROM (
            SELECT destination, kind, record_id, arg_max(detail, happened_at) AS outcome,
                max(happened_at) AS said_at, arg_max(coalesce(until, {_FIRST}), happened_at) AS until
            FROM feedback.acts WHERE audience = {literal(audience)} AND act = 'outcome' GROUP BY ALL
        ) AS s
        JOIN (SELECT destination, kind, record_id, attempt FROM delivery.actions) AS x
            ON (x.destination, x.kind, x.record_id) = (s.destination, s.kind, s.record_id)"""


_FIRST = "TIMESTAMP '1970-01-01'"
"""Stands for no date: an aggregate of the newest passes NULLs over."""


def _put_off(outcomes: Outcomes) -> str:
    """Return SQL for until when an outcome puts its person off: the day beside it if that is later, else the span."""
    snoozing = [one for one, follows in outcomes.each().items() if follows.snooze is not None]
    if not snoozing:
        return _NEVER
    names = ", ".join(literal(str(one)) for one in snoozing)
    return f"""CASE WHEN s.outcome NOT IN ({names}) THEN NULL WHEN s.until > s.said_at THEN s.until
                ELSE {_after(outcomes, "snooze")} END"""


def _after(outcomes: Outcomes, what: str) -> str:
    """Return SQL for the end of the span ``what`` after each outcome that has one."""
    spans: dict[Outcome, timedelta] = {
        one: span for one, follows in outcomes.each().items() if (span := getattr(follows, what)) is not None
    }
    whens = " ".join(
        f"WHEN {literal(str(one))} THEN s.said_at + to_microseconds({span // timedelta(microseconds=1)})"
        for one, span in spans.items()
    )
    return f"CASE s.outcome {whens} END" if whens else _NEVER


def past(inputs: Inputs) -> str:
    """Return the SELECT of ``touch.past``, where an outcome ends an entry too, with ``quiet_until`` and ``put_off``."""
    return f"""
        SELECT m.cio_id, max(CASE WHEN m.exited_at IS NOT NULL OR a.outcome IS NOT NULL
                THEN coalesce(a.handled_at, a.outcome_at, m.exited_at) END) AS ended,
            max(a.snoozed_until) AS snoozed_until, max(a.quiet_until) AS quiet_until,
            arg_max(coalesce(a.put_off, FALSE), m.number) AS put_off
        FROM (
            SELECT cio_id, entry_id, exited_at, number FROM audience.memberships
            WHERE audience = {literal(inputs.audience.name)}{inputs.scope.condition()}
        ) AS m
        LEFT JOIN acts AS a ON a.entry_id = m.entry_id
        GROUP BY m.cio_id"""
