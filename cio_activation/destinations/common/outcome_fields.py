"""The fields that humans write: which there are, and the step ``outcome_fields_<lane>`` that empties them at an entry.

Ours to define, humans' to write. One thing only is ever written into them: nothing, when their person enters an
audience anew and before its action is made, so that what stands there afterwards is about this outreach.
"""

from __future__ import annotations

from collections.abc import Sequence

from cio_activation.activation.models import Activation, Lane, Property, PropertyType, Value
from cio_activation.activation.outcomes import (
    ACTIVE_FIELD,
    ACTIVE_LABEL,
    DATE_FIELD,
    DATE_LABEL,
    HUMAN_FIELDS,
    OUTCOME_FIELD,
    OUTCOME_LABEL,
    Outcome,
)
from cio_activation.delivery.destination import AbsoluteStep, Context, OwnedField
from cio_activation.journal.operations import Kind
from cio_activation.warehouse.sessions import Connection
from cio_activation.warehouse.sql import literal

CLEAR_OUTCOME = Kind(name="clear_outcome", writes_fields=True)
"""Empties the three fields of a person who entered anew."""
FIELDS = "feedback.outcome_fields"
_THEIRS = "whoever acts"
_SAYS = {
    OUTCOME_FIELD: "what came of the outreach",
    DATE_FIELD: "the day of that; with bad_timing, when to come back",
    ACTIVE_FIELD: "whether somebody is on the person, as a human or a workflow says",
}
_TYPES = {
    OUTCOME_FIELD: (PropertyType.ENUM, OUTCOME_LABEL),
    DATE_FIELD: (PropertyType.DATE, DATE_LABEL),
    ACTIVE_FIELD: (PropertyType.FLAG, ACTIVE_LABEL),
}


def human_fields(activation: Activation) -> tuple[Property, ...]:
    """Return the fields as properties are declared, without a value of ours; none where outcomes are not read."""
    if activation.outreach_outcomes is None:
        return ()
    return tuple(
        Property(
            name=name,
            label=_TYPES[name][1],
            description=f"{_SAYS[name].capitalize()}. People write it; it is emptied when the person enters anew.",
            owner=_THEIRS,
            lane=Lane.DAILY,
            rule=Value(attribute=name),
            type=_TYPES[name][0],
            labels=tuple(o.value for o in Outcome) if name == OUTCOME_FIELD else (),
            deliver=(),
        )
        for name in HUMAN_FIELDS
    )


def owned(activation: Activation) -> list[OwnedField]:
    """Return the fields as they are told to people: whose they are, and when they are emptied."""
    prefix = activation.workspace.prefix
    return [
        OwnedField(
            f"{prefix}{p.name}", _SAYS[p.name], _THEIRS, "emptied when the person enters anew; else never",
            "stays: it is theirs to write",
        )
        for p in human_fields(activation)
    ]  # fmt: skip


def step_name(lane: Lane) -> str:
    """Return what the step of a lane is called."""
    return f"outcome_fields_{lane.value}"


def has_step(activation: Activation, destination: str, lane: Lane) -> bool:
    """Return whether somebody is asked to act there for an audience of the lane that reads outcomes."""
    return any(a.outcomes is not None and destination in a.asks() for a in activation.lane_audiences(lane, destination))


class OutcomeFieldsStep(AbsoluteStep):
    """Empties the fields of people who entered and whose action is not made yet. A vendor's step adds ``send``."""

    kinds: tuple[Kind, ...] = (CLEAR_OUTCOME,)
    batch_size = 1
    concurrency = 1

    def __init__(self, activation: Activation, destination: str, lane: Lane, after: Sequence[str]) -> None:
        self._destination = destination
        self._audiences = tuple(
            a.name for a in activation.lane_audiences(lane, destination) if a.outcomes and destination in a.asks()
        )
        self.lane: Lane | None = lane
        self.name = step_name(lane)
        self.description = "Fields that humans write (outcome, its day, active): emptied when their person enters anew."
        self.after: tuple[str, ...] = tuple(after)
        self.needs: tuple[str, ...] = tuple(f"audience/{name}" for name in self._audiences)

    def objects(self, context: Context) -> tuple[str, ...]:  # noqa: ARG002
        """Need the three fields."""
        return tuple(f"field:{name}" for name in HUMAN_FIELDS)

    def plan(self, con: Connection, context: Context) -> str | None:  # noqa: ARG002
        """Return one operation for each record that may hold something of before.

        Where nothing was read of it that is a record we found, not one that we made.
        """
        place, names = literal(self._destination), ", ".join(map(literal, self._audiences))
        nothing = ", ".join(f"{literal(name)}, NULL" for name in HUMAN_FIELDS)
        return f"""
        SELECT DISTINCT {literal(CLEAR_OUTCOME.name)} AS kind, m.cio_id, l.record_id,
            CAST(NULL AS VARCHAR) AS target, CAST(json_object({nothing}) AS VARCHAR) AS payload, '{{}}' AS keys,
            CAST(NULL AS UBIGINT) AS row_hash, 0 AS priority, {literal(CLEAR_OUTCOME.name)} AS batch_group
        FROM audience.memberships AS m
        JOIN audience.assignments AS a ON a.entry_id = m.entry_id AND a.attempt = 1 AND a.destination = {place}
        JOIN delivery.links AS l ON l.destination = {place} AND l.cio_id = m.cio_id AND l.record_id IS NOT NULL
        LEFT JOIN {FIELDS} AS f ON f.destination = {place} AND f.record_id = l.record_id
        WHERE m.audience IN ({names}) AND m.exited_at IS NULL AND m.touch AND NOT m.ghost AND NOT m.baseline
            AND m.entry_id NOT IN (
                SELECT entry_id FROM delivery.actions WHERE destination = {place} AND kind IN ('task', 'activity'))
            AND CASE WHEN f.read_at IS NULL THEN l.matched_by IS DISTINCT FROM 'created'
                ELSE f.outcome IS NOT NULL OR f.outcome_on IS NOT NULL OR coalesce(f.active, FALSE) END"""

    def fold(self, con: Connection, context: Context, finished: str) -> None:  # noqa: ARG002
        """Keep that they are empty: what stands there from now on is about this outreach."""
        place = literal(self._destination)
        con.execute(
            f"""CREATE OR REPLACE TEMP TABLE emptied AS
            SELECT record_id, max(ended_at) AS read_at FROM {finished}
            WHERE "end" = 'delivered' AND record_id IS NOT NULL GROUP BY record_id"""
        )
        con.execute(
            f"DELETE FROM {FIELDS} WHERE destination = {place} AND record_id IN (SELECT record_id FROM emptied)"
        )
        con.execute(
            f"""INSERT INTO {FIELDS} BY NAME
            SELECT {place} AS destination, record_id, FALSE AS active, read_at FROM emptied"""
        )
        con.execute("DROP TABLE emptied")
