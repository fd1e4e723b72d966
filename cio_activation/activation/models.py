"""What an activation file says, as typed, frozen models.

The loader turns ``activation.yaml`` into one :class:`Activation`; everything downstream reads only these
models. Durations are :class:`datetime.timedelta`; money is a plain number in the workspace's currency; every
expression (``gate``, ``when``) is a DuckDB boolean expression over declared names only, checked by
``activation/expressions.py``.
"""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from cio_activation.activation.actions import Ask, HasAsk, ShowsValues
from cio_activation.activation.alerts import Alerts
from cio_activation.activation.audits import Audits
from cio_activation.activation.base import AS_STORED, Duration, Model, Name, Share
from cio_activation.activation.governance import Governance
from cio_activation.activation.guards import Guards
from cio_activation.activation.life_cycle import Exclusive, Launch, Measure, PersonCap, PurchaseMoment
from cio_activation.activation.moment_source import MomentSource
from cio_activation.activation.outcomes import Outcomes
from cio_activation.activation.working_time import Capacity, WorkingTime


class Lane(StrEnum):
    """The pace a property or audience moves at; each belongs to exactly one."""

    DAILY = "daily"
    REALTIME = "realtime"


class AttributeType(StrEnum):
    """How one Customer.io attribute (always text on the wire) is read."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    MONEY = "money"
    TIMESTAMP = "timestamp"  # epoch seconds or ISO 8601 on the wire, TIMESTAMP in UTC inside
    DATE = "date"
    BOOLEAN = "boolean"


class EpochUnit(StrEnum):
    """What a number that is a time counts, since 1970-01-01 UTC."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"


class Workspace(Model):
    """Facts about the whole workspace."""

    timezone: str = "UTC"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    default_region: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] = "US"
    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,9}_$")] = "cio_"
    start: date = date(2026, 1, 1)
    """First daily partition."""
    realtime_window: Duration = timedelta(minutes=15)
    purchase_attribute: Name | None = None
    """The timestamp attribute that moves when a person buys; ``exit_on: purchase`` reads it."""
    order_count_attribute: Name | None = None
    """The integer attribute that counts a person's orders; what an audience brings is counted by it."""
    total_spent_attribute: Name | None = None
    """The money or number attribute of what a person spent so far; revenue is counted by it."""
    purchase_moment: PurchaseMoment | None = None
    """The moment that says a person bought; if set, purchases and revenue are counted by it, not by attributes."""
    moment_retention: Duration = timedelta(days=400)
    """How long webhooks' events stay in the warehouse, by their own time."""
    moment_body_retention: Duration = timedelta(days=30)
    """How long their bodies stay, which hold whatever a journey's author wrote."""
    raw_retention: Duration = timedelta(days=30)
    """How long files stay as Customer.io sent them; the newest window of each lane always does."""
    plan_retention: Duration = timedelta(days=90)
    """How long the files of plans stay; those that guards and releases compare with always do."""
    decision_retention: Duration = timedelta(days=400)
    """How long decisions and their counts stay, and who was to act for entries that ended; those of spells that go on
    always do."""
    ledger_retention: Duration = timedelta(days=400)
    """How long it is told what was sent and what vendors answered, and what audits found (90d of these at least)."""
    quarantine_retention: Duration = timedelta(days=90)
    """How long it is told what we refused to read; the newest window of each lane always is."""
    run_retention: Duration = timedelta(days=14)
    """How long Dagster keeps finished runs with their events and what they printed; the newest of each job always."""
    history_retention: Duration = timedelta(days=400)
    """How long it is told what people's properties were and why they changed; 0d: not at all."""
    unsubscribed_attribute: Name | None = None
    """The boolean attribute that says a person takes no messages; audiences that ``respect_unsubscribed`` read it."""
    holdout: Share = 0.0
    """Part of all people whom no touch audience ever asks a human to act for, to measure what they bring together."""
    last_good_for: Duration = timedelta(days=14)
    """How long a value that cannot be read may stand at its last good one before the check of its asset warns."""


class Match(Model):
    """How a person is found in a CRM: the keys, in order of trust."""

    keys: tuple[Literal["external_id", "email"], ...] = ("external_id", "email")
    phone: bool = False
    """Whoever is found by none of the keys is looked for by phone (E.164). A number that several people or several
    records have matches nobody, and nobody is made for want of anything but a phone."""
    email_system: str = "customerio"
    """Which system has the right e-mail address where two differ: customerio, or a destination. ``check`` lists who has
    another one, and where to mend it; nothing is written."""


class Profile(Model):
    """The Customer.io attributes that hold what a CRM needs to create a record; None where there is none."""

    phone: str | None = "phone"
    first_name: str | None = "first_name"
    last_name: str | None = "last_name"


class Attribute(Model):
    """One Customer.io profile attribute, read as one typed column of the same name."""

    name: Name
    source: str
    """The attribute's name in Customer.io (YAML key ``from``)."""
    type: AttributeType
    unit: EpochUnit | None = None
    """Of a timestamp or date that comes as a number; None: seconds, or milliseconds where it is as large."""
    description: str = ""


class DaysSince(Model):
    """Whole 24-hour periods between ``attribute`` and the as-of, in buckets.

    ``edges`` are the last day *inside* each bucket but the last: ``[30, 90, 180]`` gives 0-30, 31-90, 91-180
    and everything above. A missing attribute gives no value; a time in the future counts as 0 days.
    """

    kind: Literal["days_since"] = "days_since"
    attribute: str
    edges: tuple[int, ...]
    labels: tuple[str, ...]


class Tiers(Model):
    """A number in tiers. ``edges`` are the lowest value of each tier but the first: ``[75, 200]``."""

    kind: Literal["tiers"] = "tiers"
    attribute: str
    edges: tuple[float, ...]
    labels: tuple[str, ...]


class ExpectNext(Model):
    """Where a person stands around the next expected purchase: before, open, due or overdue.

    expected = ``since`` + gap, where gap is the attribute ``every`` in days; people without one take the median
    gap of their ``fallback_by`` group, and else the median of everyone.
    before: as_of < expected + open; open: until expected; due: until expected + close; overdue: after.
    """

    kind: Literal["expect_next"] = "expect_next"
    since: str
    every: str
    open: Duration = timedelta(days=-3)
    close: Duration = timedelta(days=7)
    fallback_by: str | None = None
    labels: tuple[str, ...] = ("before", "open", "due", "overdue")


class Flag(Model):
    """True or false by one expression; a NULL result counts as false."""

    kind: Literal["flag"] = "flag"
    when: str


class Case(Model):
    """One label and the expression that gives it."""

    label: str
    when: str


class Cases(Model):
    """The label of the first case whose expression is true, else ``otherwise`` (may be None: no value)."""

    kind: Literal["cases"] = "cases"
    cases: tuple[Case, ...]
    otherwise: str | None = None


class Value(Model):
    """The attribute itself. Only for values people act on as they are (last category, last engaged date)."""

    kind: Literal["value"] = "value"
    attribute: str


Rule = Annotated[DaysSince | Tiers | ExpectNext | Flag | Cases | Value, Field(discriminator="kind")]


class PropertyType(StrEnum):
    """What a destination must be able to store."""

    ENUM = "enum"  # one of ``labels``
    FLAG = "flag"  # true / false, never missing
    TEXT = "text"
    DATE = "date"
    NUMBER = "number"


class OnConflict(StrEnum):
    """What happens to a value under our prefix that a human changed since our last write."""

    OVERWRITE = "overwrite"  # ours: the next change writes over it
    KEEP = "keep"  # it stays, and is listed as a conflict


class Property(Model):
    """One derived state value of a person, delivered as ``<prefix><name>``."""

    name: Name
    label: str
    description: str
    owner: str
    version: Annotated[int, Field(ge=1)] = 1
    reviewed: date | None = None
    """When somebody last looked at it; None: nobody said."""
    lane: Lane
    rule: Rule
    type: PropertyType
    labels: tuple[str, ...] = ()
    """The closed set of values of an ``enum``, in order; empty for other types."""
    min_dwell: Duration = timedelta(0)
    """A bucket or flag changes only once it would have changed for that long."""
    deliver: tuple[str, ...]
    """Names of the destinations that get it."""
    on_conflict: OnConflict | None = None
    """None: as the destination's own settings say."""


class ExitReason(StrEnum):
    """Why somebody leaves an audience early, besides losing eligibility, which always ends it."""

    LEFT_SEGMENT = "left_segment"
    PURCHASE = "purchase"


class Audience(Model):
    """A source segment or moment, a gate and life-cycle rules; says who is *in* now."""

    name: Name
    label: str
    """How it reads in the CRM: an instruction, for example ``RET - VIP Churn Risk - Needs Outreach``."""
    description: str
    version: Annotated[int, Field(ge=1)] = 1
    owner: str
    reviewed: date | None = None
    """When somebody last looked at it; None: nobody said."""
    segment: Annotated[int, Field(ge=1)] | None = None
    moment: MomentSource | None = None
    """What it starts from, if not from a segment; it has exactly one of the two."""
    lane: Lane
    gate: str | None = None
    grace: Duration = timedelta(0)
    """Eligibility must hold this long before entry."""
    expires_after: Duration | None = None
    """Longest stay, counted from entry; of an audience that starts from a moment, from when its newest one happened."""
    exit_on: tuple[ExitReason, ...] = (ExitReason.LEFT_SEGMENT,)
    touch: bool = False
    """Whether it makes a human act: by an action, or a list on which a workflow asks. The rest is for these."""
    cooldown: Duration | None = None
    """No new entry until so long after the human's act, or after the end of the last entry."""
    again_after: Duration | None = None
    """Whoever bought, was handled or expired may enter again after this, without having lost eligibility."""
    exclusive: Exclusive | None = None
    hold_while: str | None = None
    """Expression: nobody enters while it is true, because a journey is talking to them."""
    respect_unsubscribed: bool = True
    """Whether people who take no messages are left alone by humans too."""
    rank: str | None = None
    """Who goes first where not all may enter: ``cart_value DESC``, more with commas; else who is eligible longest."""
    holdout: Share = 0.0
    """Part of those who would enter for whom nothing is delivered, to measure what the audience brings."""
    redraw: bool = False
    """Whether a new version draws anew who is held out."""
    launch: Launch = Launch()
    measure: Measure | None = None
    """How it is measured; None: it is not."""
    respect_handled: bool | None = None
    """Whether nobody enters whom a human or another tool is on already, as the CRMs say. None: if it has an action."""
    route: tuple[Name, ...] = ()
    """Destinations with an action, in the order in which a person's place is looked for: the first that has a record of
    the person, else the first. None: in the file's order."""
    outcomes: Outcomes | None = None
    """What follows from what humans say came of it; None: outcomes are not read, or nobody is asked to act."""
    deliver: dict[str, Any]
    """Destination name -> that destination's own options model (already validated by the loader)."""

    def asks(self) -> dict[str, Ask]:
        """Return destination -> what is asked of a human there, in the order of the route; empty without an action."""
        found = {name: o.ask for name, o in self.deliver.items() if isinstance(o, HasAsk) and o.ask is not None}
        return {name: found[name] for name in (*self.route, *found) if name in found}

    @property
    def placeholders(self) -> tuple[str, ...]:
        """What the texts of its actions put values in for, sorted."""
        asked = {name for ask in self.asks().values() for name in ask.placeholders}
        for options in self.deliver.values():
            asked.update(options.placeholders if isinstance(options, ShowsValues) else ())
        return tuple(sorted(asked))


class Limits(Model):
    """Everything that bounds what a run may do."""

    guards: Guards = Guards()
    human_touches_per_person: PersonCap = PersonCap()
    working_time: WorkingTime = WorkingTime()
    capacity: Capacity = Capacity()
    alerts: Alerts = Alerts()
    audits: Audits = Audits()


class DestinationLimits(Model):
    """What every destination whose vendor counts by the day lets an activation say, beside its own options."""

    rate_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Part of the account's rate that this project may use; the rest is left to other integrations."""
    realtime_reserve: Annotated[float, Field(ge=0, le=0.9)] = 0.25
    """Part of the day's budget that the daily lane leaves to the real-time lane, as long as that part of the day is
    still to come. Exits may use all of it."""
    priority: str | None = None
    """Who goes first where a day's budget is not enough for all: ``ltv_tier DESC``, over attributes and daily
    properties; several with commas. Exits, and who was left over, go before."""


class Activation(Model):
    """The whole file."""

    workspace: Workspace
    match: Match = Match()
    profile: Profile = Profile()
    attributes: dict[str, Attribute]
    properties: dict[str, Property]
    audiences: dict[str, Audience]
    limits: Limits = Limits()
    governance: Governance = Governance()
    outreach_outcomes: Outcomes | None = None
    """None: outcomes are not read, and there are no fields for them."""
    destinations: dict[str, Any]
    """Destination name -> that destination's settings model."""

    def lane_properties(self, lane: Lane, destination: str | None = None) -> tuple[Property, ...]:
        """Return the lane's properties in file order, only those delivered to ``destination`` if given."""
        return tuple(
            p for p in self.properties.values() if p.lane == lane and (destination is None or destination in p.deliver)
        )

    def lane_audiences(self, lane: Lane, destination: str | None = None) -> tuple[Audience, ...]:
        """Return the lane's audiences in file order, only those delivered to ``destination`` if given."""
        return tuple(
            a for a in self.audiences.values() if a.lane == lane and (destination is None or destination in a.deliver)
        )

    def segments(self, lane: Lane) -> tuple[int, ...]:
        """Return the ids of the segments that the lane's audiences come from, each once, in file order."""
        return tuple(dict.fromkeys(a.segment for a in self.lane_audiences(lane) if a.segment is not None))

    def kept_properties(self, destination: str, lane: Lane | None = None) -> tuple[str, ...]:
        """Return the names of the properties (of ``lane``) whose values stay as a human changed them there."""
        default = getattr(self.destinations.get(destination), "on_conflict", OnConflict.OVERWRITE)
        return tuple(
            p.name
            for one in ((lane,) if lane else tuple(Lane))
            for p in self.lane_properties(one, destination)
            if (p.on_conflict or default) is OnConflict.KEEP
        )

    @classmethod
    def stored(cls, text: str) -> Activation:
        """Return what ``model_dump_json`` wrote, as it decides; what destinations declare stays as it was written."""
        return cls.model_validate_json(text, context=AS_STORED)

    def fingerprint(self) -> str:
        """Return a value that two activations share if they say the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]
