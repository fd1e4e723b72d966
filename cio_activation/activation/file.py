"""The shape of ``activation.yaml`` as written, before it becomes :class:`models.Activation`.

These models check what one key alone can tell (names, types, spans) and are what editors are told through
``schema.py``. What needs a second key (a declared attribute, a free label) is checked in ``checks.py``.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from cio_activation.activation.base import Duration, Name, Share
from cio_activation.activation.governance import Governance
from cio_activation.activation.life_cycle import Exclusive, Launch, Measure
from cio_activation.activation.models import (
    AttributeType,
    EpochUnit,
    ExitReason,
    Lane,
    Limits,
    Match,
    OnConflict,
    Profile,
    Workspace,
)
from cio_activation.activation.moment_source import MomentSource
from cio_activation.activation.outcomes import Outcomes, OutcomesOfAudience

Options = dict[str, Any] | None
"""Options that a destination's own model reads; nothing (``hubspot:``) means all defaults."""

Text = Annotated[str, Field(min_length=1)]


class FileModel(BaseModel):
    """Base of the file's models: unknown keys are refused, keys are spelled as in YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    not_built: ClassVar[frozenset[str]] = frozenset()


class AttributeFile(FileModel):
    """One Customer.io profile attribute and how it is read."""

    source: Text | None = Field(default=None, alias="from")
    """The attribute's name in Customer.io; the same name if left out."""
    type: AttributeType
    """What the text on the wire holds."""
    unit: EpochUnit | None = None
    """Of a timestamp or date written as a number; seconds if left out, or milliseconds where it is that large."""
    description: str = ""
    """What the attribute means, for whoever reads the catalog."""


class ExpectNextFile(FileModel):
    """When the next order is expected: ``from`` + ``every`` days, and the span around it."""

    since: Text = Field(alias="from")
    """Timestamp attribute the gap is counted from."""
    every: Text
    """Number attribute: the person's usual gap, in days."""
    open: Duration = timedelta(days=-3)
    """How long before the expected time the window opens; zero or negative."""
    close: Duration = timedelta(days=7)
    """How long after the expected time it stays ``due``; zero or positive."""
    fallback_by: Text | None = None
    """Text attribute: people without a gap of their own take the median of their group."""


class CaseFile(FileModel):
    """One label and the expression that gives it."""

    label: Text
    when: Text


class PropertyFile(FileModel):
    """One derived state value: exactly one rule (days_since, tiers, expect_next, flag, cases or value)."""

    days_since: Text | None = None
    """Rule: whole days since this timestamp or date attribute, in buckets; needs edges and labels."""
    tiers: Text | None = None
    """Rule: this number attribute in tiers; needs edges and labels."""
    expect_next: ExpectNextFile | None = None
    """Rule: before, open, due or overdue around the next expected order."""
    flag: Text | None = None
    """Rule: true when this expression over attributes is true."""
    cases: tuple[CaseFile, ...] | None = None
    """Rule: the label of the first case whose expression is true."""
    value: Text | None = None
    """Rule: this attribute as it is; only for what people act on unchanged."""
    otherwise: Text | None = None
    """With cases: the label when no case is true; no value if left out."""
    edges: tuple[float, ...] | None = None
    """days_since: last day inside each bucket but the last. tiers: lowest value of each tier but the first."""
    labels: tuple[str, ...] | None = None
    """One more than edges, lowest first."""
    lane: Lane
    """The pace it moves at."""
    min_dwell: Duration = timedelta(0)
    """Buckets and flags: another value has to stand this long before it is taken, so that whoever sways around an edge
    is left where they are."""
    owner: Text | None = None
    """Who answers for it: an e-mail address or team:name; as governance says if left out."""
    version: Annotated[int, Field(ge=1)] = 1
    """Raised when the meaning changes."""
    reviewed: date | None = None
    """When somebody last looked whether it is right and needed; as governance says if left out."""
    label: Text | None = None
    """How the field is called in the CRM; made from the name if left out."""
    description: Text | None = None
    """What it says, for people in the CRM; made from the rule if left out."""
    deliver: tuple[str, ...] | None = None
    """Destinations that get it; all if left out."""
    on_conflict: OnConflict | None = None
    """What happens to a value that a human changed: overwrite it, or keep it and list it as a conflict.

    As the destination's own settings say if left out; those say overwrite, if nothing else.
    """


class AudienceFile(FileModel):
    """A source segment or moment, a gate and life-cycle rules; says who is in now."""

    label: Text
    """How it reads in the CRM: an instruction."""
    description: str = ""
    """Why these people, and what is expected of whoever sees them."""
    version: Annotated[int, Field(ge=1)] = 1
    """Raised when the meaning changes."""
    owner: Text | None = None
    """Who answers for it and for its list: an e-mail address or team:name; as governance says if left out."""
    reviewed: date | None = None
    """When somebody last looked whether it is right and needed; as governance says if left out."""
    segment: Annotated[int, Field(ge=1)] | None = None
    """Id of the one Customer.io segment it comes from; or else it says a moment."""
    moment: MomentSource | None = None
    """The moment it starts from, instead of a segment: each lets its person in once, until expires_after."""
    lane: Lane
    """The pace it moves at."""
    gate: Text | None = None
    """Expression over attributes and properties that must hold besides membership."""
    grace: Duration = timedelta(0)
    """Eligibility must hold this long before entry."""
    expires_after: Duration | None = None
    """Longest stay, counted from entry; with a moment how long that counts, from when it happened."""
    exit_on: tuple[ExitReason, ...] = (ExitReason.LEFT_SEGMENT,)
    """What ends a stay early; leaving the segment always does."""
    touch: bool = False
    """Whether it makes a human act: an action does, and so does a list on which a workflow asks somebody."""
    cooldown: Duration | None = None
    """Touch audiences: no new entry until so long after the human's act or the last entry's end; 7d if left out."""
    again_after: Duration | None = None
    """Touch audiences: whoever bought, was handled or expired may enter again after this, still eligible."""
    exclusive: Exclusive | None = None
    """Touch audiences: of a group a person is in one at a time, that with the highest priority."""
    hold_while: Text | None = None
    """Touch audiences: expression over attributes and properties; nobody enters while it is true."""
    respect_unsubscribed: bool | None = None
    """Touch audiences: whether people who take no messages are left alone by humans too; true if left out."""
    rank: Text | None = None
    """Touch audiences: who goes first where not all may enter: cart_value DESC, several with commas."""
    holdout: Share | None = None
    """Touch audiences: part of those who would enter for whom nothing is delivered, to measure what it brings."""
    redraw: bool | None = None
    """Touch audiences: whether a new version draws anew who is held out."""
    launch: Launch | None = None
    """Touch audiences: how it starts; those eligible already are skipped if left out."""
    measure: Measure | None = None
    """How it is measured; a touch audience is in any case, another one if it says so (measure: {})."""
    respect_handled: bool | None = None
    """Touch audiences: whether nobody enters whom a human or another tool is on already; true with an action."""
    route: list[Name] | None = None
    """Touch audiences: the order in which the CRMs with an action are asked for the person's record; the first that
    has one is where the action goes."""
    outcomes: OutcomesOfAudience | None = None
    """Audiences with an action: what follows from an outcome, where that is not what outreach_outcomes says."""
    deliver: dict[str, Options]
    """Destination and its options."""


class ActivationFile(FileModel):
    """The declarative file of cio_activation: sources, properties, audiences, destinations, limits."""

    workspace: Workspace = Workspace()
    match: Match = Match()
    profile: Profile = Profile()
    attributes: dict[Name, AttributeFile]
    """Customer.io attributes, each read as one typed column."""
    properties: dict[Name, PropertyFile] = {}
    """Derived state values, delivered as CRM fields with the workspace's prefix."""
    audiences: dict[Name, AudienceFile] = {}
    """Who is in now, delivered as lists and flags."""
    limits: Limits = Limits()
    governance: Governance = Governance()
    """Who answers for what names nobody, and when something is told to be stale or unused."""
    outreach_outcomes: Outcomes | None = None
    """Humans write what came of an outreach on the record, and what follows from it; not read if left out."""
    destinations: dict[str, Options]
    """The CRMs that are delivered to, each with its settings."""
