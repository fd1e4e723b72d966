"""What an audience is decided from: its segment's members, or whoever had a moment, with what its gate reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from cio_activation.activation.expressions import (
    Expression,
    gate_expression,
    hold_expression,
    moments_read,
    scope_expression,
    vocabulary,
)
from cio_activation.activation.models import Activation, Audience, ExitReason, Lane
from cio_activation.activation.moment_terms import MomentCount
from cio_activation.activation.ordering import Rank, read_order
from cio_activation.activation.terms import Clock
from cio_activation.activation.windows import Window
from cio_activation.audience import moments
from cio_activation.audience.desks import Desks
from cio_activation.audience.pauses import Pause
from cio_activation.state.columns import attribute_types, property_types, source, table
from cio_activation.state.rules import as_timestamp, derive_property
from cio_activation.warehouse import stale
from cio_activation.warehouse.change_log import members_of
from cio_activation.warehouse.scope import EVERYONE, Scope
from cio_activation.warehouse.sql import identifier, literal, timestamp
from cio_activation.warehouse.tables import MEMBERSHIPS as SEGMENT_MEMBERS
from cio_activation.warehouse.tables import MOMENTS, PERSONS

BOUGHT_AT = identifier("purchase:at")
"""Column of the last purchase; no attribute can have its name."""
STALE = identifier("stale:columns")
"""Column of the columns read whose values are old ones, as a list; NULL if there are none."""
IN_JOURNEY, OUT_OF_SCOPE, MUTED = (identifier(f"life:{name}") for name in ("in_journey", "out_of_scope", "muted"))
"""Columns of a touch audience: a journey talks to the person; outside ``launch.only``; takes no messages."""


@dataclass(frozen=True)
class Inputs:
    """The relations one audience reads as of one moment."""

    activation: Activation
    audience: Audience
    window: Window
    gate: Expression | None
    hold: Expression | None = None
    only: Expression | None = None
    ranks: tuple[Rank, ...] = ()
    """By what those who would enter are ranked, where not all may."""
    scope: Scope = EVERYONE
    """Whom the decision looks at."""
    gathered: Mapping[str, str] = field(default_factory=dict)
    """Relation -> table of the rows in it of everybody in scope, and of some others; see ``scoping``."""
    there: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The columns that the warehouse's relations have; see :func:`warehouse.sql.columns`."""
    first: bool = False
    """Whether the audience is decided for the first time with a human act."""
    rules: str = ""
    """Fingerprint of the activation, under which ``audience.activations`` keeps it."""
    paused: Pause | None = None
    """Somebody switched the audience off: nobody enters."""
    desks: Desks | None = None
    """Who can act; of an audience with an action."""
    unread: tuple[str, ...] = ()
    """Of ``places`` those that were not asked for this window: nobody enters by what was known before."""
    entered_today: int = 0
    """Who was let in on the window's day already, held-out people aside."""

    @classmethod
    def of(cls, activation: Activation, audience: Audience, window: Window) -> Inputs:
        """Return the inputs of ``audience``; its expressions are parsed here."""
        gate = gate_expression(activation, audience)
        if not audience.touch:
            return cls(activation, audience, window, gate)
        ranks = read_order(audience.rank, *vocabulary(activation)) if audience.rank is not None else ()
        hold, only = hold_expression(activation, audience), scope_expression(activation, audience)
        return cls(activation, audience, window, gate, hold, only, ranks)

    @property
    def as_of(self) -> datetime:
        """The window's end, naive UTC."""
        return self.window.as_of

    @property
    def people(self) -> str:
        """The relation of people the audience's lane decides from."""
        return source(self.audience.lane)

    def rows_of(self, relation: str) -> str:
        """Return what to read the people in scope from: the relation, or what was gathered of it."""
        return relation if self.scope.is_everyone else self.gathered.get(relation, relation)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the gate and the rules of a touch audience read, sorted."""
        found = {name for part in (self.gate, self.hold, self.only) if part is not None for name in part.columns}
        found |= {rank.name for rank in self.ranks} | set(self._muted_by) | set(self.audience.placeholders)
        return tuple(sorted(found))

    @property
    def places(self) -> tuple[str, ...]:
        """The destinations that are asked of a person before a human is: where an action may go, in its order."""
        if asks := self.audience.asks():
            return tuple(asks)
        return tuple(self.audience.deliver) if self.audience.respect_handled else ()

    @property
    def _muted_by(self) -> tuple[str, ...]:
        attribute = self.activation.workspace.unsubscribed_attribute
        asked = self.audience.touch and self.audience.respect_unsubscribed and attribute is not None
        return (str(attribute),) if asked else ()

    def members(self) -> str:
        """Return the SELECT of ``cio_id`` of those the audience takes its people from now, of those in scope."""
        if self.audience.moment is not None:
            return moments.members(self)
        return f"SELECT cio_id FROM {self.in_segment()}{self.scope.condition()}"

    def in_segment(self) -> str:
        """Return the rows of who is in the audience's segment now: a table, and the begin of its WHERE."""
        lane, segment = self.audience.lane.value, self.audience.segment
        return f"{self.rows_of(SEGMENT_MEMBERS)} WHERE lane = {literal(lane)} AND segment_id = {segment}"

    @property
    def clocks(self) -> tuple[Clock, ...]:
        """When what the audience's expressions say may change though no data does."""
        parts = (self.gate, self.hold, self.only)
        return tuple(sorted({clock for part in parts if part is not None for clock in part.clocks}))

    @cached_property
    def moment_counts(self) -> tuple[MomentCount, ...]:
        """What the audience's expressions ask about moments."""
        return moments_read(self.activation, self.audience)

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables of which a change can move a person into the audience or out of it."""
        lanes = sorted({lane for c in self.columns if (lane := self._lane_of(c)) is not None})
        touch = ("audience.memberships", "feedback.acts", "identity.persons") if self.audience.touch else ()
        source = members_of(self.audience.lane) if self.audience.moment is None else "audience.memberships"
        told = (MOMENTS,) if self.moment_counts or self.audience.moment is not None else ()
        asked = ("feedback.contexts", "delivery.actions") if self.places else ()
        return (source, self.people, *map(table, lanes), *told, *touch, *asked)

    @property
    def ends_with_purchase(self) -> bool:
        """Whether a purchase ends a stay here."""
        return ExitReason.PURCHASE in self.audience.exit_on and self.activation.workspace.purchase_attribute is not None

    def bought_at(self) -> str:
        """Return SQL for the moment of a person's last purchase, NULL if the workspace names no such attribute.

        Kept with every spell, also where a purchase ends nothing: the audience may say otherwise tomorrow.
        """
        attribute = self.activation.workspace.purchase_attribute
        return f"CAST({as_timestamp(self.activation, attribute) if attribute else 'NULL'} AS TIMESTAMP)"

    def rows(self, among: str) -> str:
        """Return the SELECT of ``cio_id``, ``as_of``, the purchase and the gate's columns for people in ``among``.

        With them goes which of these columns are stale.
        """
        lanes = {lane for lane in Lane if any(self._lane_of(c) is lane for c in self.columns)}
        listed = ["p.cio_id", f"{timestamp(self.as_of)} AS as_of"]
        listed.append(f"{self.bought_at()} AS {BOUGHT_AT}")
        listed.append(f"stale.names AS {STALE}")
        for column in self.columns:
            lane = self._lane_of(column)
            listed.append(f"{'p' if lane is None else lane.value}.{identifier(column)}")
        listed += moments.columns(self)
        joins = [
            f"LEFT JOIN {self.rows_of(table(lane))} AS {lane.value} ON {lane.value}.cio_id = p.cio_id"
            for lane in sorted(lanes)
        ]
        joins += moments.joins(self)
        joins.append(f"LEFT JOIN ({self.stale()}) AS stale ON stale.cio_id = p.cio_id")
        people = self.rows_of(self.people)
        return f"SELECT {', '.join(listed)} FROM {people} AS p {' '.join(joins)} WHERE p.cio_id IN ({among})"

    def eligible(self) -> str:
        """Return the SELECT of ``cio_id`` and the purchase of everyone in the segment who passes the gate.

        Of a touch audience with their ranks and what its rules say: ``IN_JOURNEY``, ``OUT_OF_SCOPE``, ``MUTED``.
        """
        where = f" WHERE {self.gate.sql}" if self.gate is not None else ""
        told = ["cio_id", BOUGHT_AT, STALE]
        if self.audience.moment is not None:
            told += [moments.MOMENT_ID, moments.MOMENT_AT]
        if self.audience.touch:
            muted = " OR ".join(f"coalesce({identifier(name)}, FALSE)" for name in self._muted_by) or "FALSE"
            told.append(f"{f'coalesce({self.hold.sql}, FALSE)' if self.hold else 'FALSE'} AS {IN_JOURNEY}")
            told.append(f"{f'NOT coalesce({self.only.sql}, FALSE)' if self.only else 'FALSE'} AS {OUT_OF_SCOPE}")
            told.append(f"{muted} AS {MUTED}")
            told += [f"{identifier(rank.name)} AS {ranked_by(index)}" for index, rank in enumerate(self.ranks)]
        return f"SELECT DISTINCT {', '.join(told)} FROM ({self.rows(self.members())}) AS i{where}"

    def ranking(self) -> str:
        """Return the sort keys of those who would enter, best first; who is eligible longest where they are equal."""
        keys = [rank.sql(ranked_by(index)) for index, rank in enumerate(self.ranks)]
        return ", ".join([*keys, "since", "cio_id"])

    def stale(self) -> str:
        """Return the SELECT of ``cio_id`` and ``names``, the columns read that rest on a value that was refused."""
        found = []
        for column in self.columns:
            for relation, names in self._rests_on(column):
                among = f'"column" IS NULL OR "column" IN ({", ".join(map(literal, names)) or "NULL"})'
                found.append(f"SELECT cio_id, {literal(column)} AS name FROM ({stale.marks(relation)}) WHERE {among}")
        marked = " UNION ALL ".join(found) or "SELECT NULL::VARCHAR AS cio_id, NULL::VARCHAR AS name LIMIT 0"
        return f"SELECT cio_id, list_sort(list(DISTINCT name)) AS names FROM ({marked}) GROUP BY cio_id"

    def evidence(self, row: str, since: str) -> str:
        """Return SQL for the JSON kept with an entry: source, ``since``, and the gate's inputs in ``row`` (an alias);
        with them what an action's text shows.

        Which of the inputs are stale is told if any is. Contact data never goes in, should a gate read it.
        """
        shown = sorted({*(self.gate.columns if self.gate is not None else ()), *self.audience.placeholders})
        pairs = [f"{literal(c)}, {self._shown(row, c)}" for c in shown]
        told = f"'segment', {self.audience.segment}"
        if self.audience.moment is not None:
            told = f"'moment', {moments.told_of_source(row, self.audience)}"
        told += f", 'since', {since}, 'inputs', json_object({', '.join(pairs)})"
        if self.gate is not None and self.gate.moments:
            told += f", 'moments', {moments.told_of_counts(row, self.gate.moments)}"
        old = f"{row}.{STALE}"
        return (
            f"CAST(CASE WHEN {old} IS NULL THEN json_object({told}) "
            f"ELSE json_object({told}, 'stale', {old}) END AS VARCHAR)"
        )

    def missing(self) -> str | None:
        """Return what the warehouse does not have yet of what the audience reads; None if it is all there.

        Deciding without it would throw everybody out, so the audience waits instead.
        """
        for relation, names in self._needs().items():
            there = self.there.get(relation, ())
            lacking = [n for n in names if n not in there]
            if lacking:
                return f"{relation} has no {', '.join(lacking)} yet" if there else f"{relation} is not there yet"
        return None

    def reads_of_people(self) -> dict[str, list[str]]:
        """Return the relations that are read of people in scope only, each with the columns that are read."""
        needs = self._needs()
        needs[self.people] += self.purchases_so_far()
        if self.audience.segment is not None:
            needs[SEGMENT_MEMBERS] = ["cio_id", "lane", "segment_id"]
        if self.audience.touch:
            needs[PERSONS] = ["cio_id", "deliverable"]
        return {relation: ["cio_id", *names] for relation, names in needs.items()}

    def purchases_so_far(self) -> list[str]:
        """Return the columns that count a person's orders and spend, as far as they are there.

        One that was just declared comes with the next export; nobody waits for it.
        """
        workspace = self.activation.workspace
        declared = (workspace.order_count_attribute, workspace.total_spent_attribute)
        return [name for name in declared if name is not None and name in self.there.get(self.people, ())]

    def _needs(self) -> dict[str, list[str]]:
        needs: dict[str, list[str]] = {self.people: ["cio_id"]}
        if attribute := self.activation.workspace.purchase_attribute:
            needs[self.people].append(attribute)
        for column in self.columns:
            lane = self._lane_of(column)
            needs.setdefault(self.people if lane is None else table(lane), []).append(column)
        return needs

    def _rests_on(self, column: str) -> list[tuple[str, tuple[str, ...]]]:
        """Return the tables and their columns that a column of the gate comes from."""
        prop = self.activation.properties.get(column)
        if prop is None:
            return [(self.people, (column,))]
        attributes = derive_property(self.activation, prop, self.as_of).attributes
        return [(source(prop.lane), attributes), (table(prop.lane), (column,))]

    def _lane_of(self, column: str) -> Lane | None:
        prop = self.activation.properties.get(column)
        return prop.lane if prop is not None else None

    def _shown(self, row: str, column: str) -> str:
        profile = self.activation.profile
        personal = {"email", profile.phone, profile.first_name, profile.last_name}
        attribute = self.activation.attributes.get(column)
        if attribute is not None and attribute.source in personal:
            return "'(personal, not kept)'"
        value = f"{row}.{identifier(column)}"
        types = attribute_types(self.activation) | {
            n: t for lane in Lane for n, t in property_types(self.activation, lane).items()
        }
        # JSON has no NaN and no infinity.
        return f"CASE WHEN isfinite({value}) THEN {value} END" if types[column] == "DOUBLE" else value


def ranked_by(index: int) -> str:
    """Return the column of the ``index``-th rank in what is eligible."""
    return identifier(f"life:rank_{index}")
