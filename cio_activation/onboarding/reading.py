"""Reads what the accounts show: Customer.io's segments and a sample of profiles, and each CRM's own account.

Only reads, by the clients that the lanes use. Customer.io's calls do not grow with people: the list of segments, a
count for each (of :data:`MOST_COUNTED` at most), one page of members, and the sample, 100 people a call. No export is
asked for: one of everybody is everybody, its filters know a segment but no number of people, and what comes when no
attributes are named is not documented (App API, "Export people data").
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from cio_activation.activation.models import Activation, Lane, Workspace
from cio_activation.activation.settings import Settings
from cio_activation.customerio.answers import Identifiers, Segment
from cio_activation.customerio.check import mended
from cio_activation.customerio.client import AT_ONCE, ATTRIBUTES_PER_CALL, CustomerIO
from cio_activation.customerio.limits import customerio_pacer
from cio_activation.delivery.destination import Destination
from cio_activation.delivery.pacing import pacer_for
from cio_activation.delivery.survey import CanBeSurveyed, Survey
from cio_activation.errors import ConfigError
from cio_activation.journal.engine import JournalDatabase
from cio_activation.onboarding import attributes, purposes
from cio_activation.onboarding.attributes import AttributeFound
from cio_activation.transport import event_loop
from cio_activation.transport.errors import VendorError
from cio_activation.transport.progress import working

MOST_COUNTED = 300
"""Segments that are counted: at eight calls a second, 40 seconds."""
FINISHED = "finished"


@dataclass(frozen=True, kw_only=True)
class SegmentFound:
    """One segment: how many are in it, and how that moved while we looked."""

    segment: Segment
    people: int | None = None
    """None: not counted, because Customer.io is still building it or there are too many segments."""
    change: int | None = None
    """The difference between two counts, where it was counted twice; who came and who went is told by none."""
    apart_s: float = 0.0
    """Seconds between them."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Whose profiles were looked at."""

    people: int
    segment: Segment
    of: int
    """How many people the segment has."""
    drawn_from: int
    """Of how many of them it was drawn, evenly: the first page at most."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """Everything that was read."""

    read_at: datetime
    """Naive UTC."""
    segments: Sequence[SegmentFound]
    sample: Sample
    attributes: Sequence[AttributeFound]
    unnamed: int
    """Attributes that are left out, since their names look like values."""
    surveys: Mapping[str, Survey] = field(default_factory=dict)
    """Destination -> its account."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Destination without a credential -> what to set."""
    also: Sequence[str] = ()
    """Destinations that take no audience and could be reached: the way back to Customer.io."""


def read(settings: Settings, destinations: Sequence[Destination], *, people: int, segment: int | None) -> Found:
    """Return what the accounts show. ``people``: the sample's size; ``segment``: where from, the largest by default.

    ConfigError where a credential is missing, or there is nothing to begin with; VendorError where Customer.io refuses.
    """
    journal = JournalDatabase("sqlite://")  # no home is made: the rate is kept in memory
    try:
        connected, missing = _connectable(settings, destinations, journal)
        surveys = {
            d.name: event_loop.run(_survey(settings, d, journal)) for d in connected if isinstance(d, CanBeSurveyed)
        }
        found = event_loop.run(_customerio(settings, journal, people, segment))
    finally:
        journal.close()
    also = tuple(d.name for d in connected if d.audience_model is None)
    return replace(found, surveys=surveys, missing=missing, also=also)


def _connectable(
    settings: Settings, destinations: Sequence[Destination], journal: JournalDatabase
) -> tuple[list[Destination], dict[str, str]]:
    """Return the destinations whose credentials are there, and what to set for the others."""
    settings.secret("customerio_app_api_key")  # said first: without it there is nothing to read
    there: list[Destination] = []
    missing: dict[str, str] = {}
    for destination in destinations:
        try:
            destination.connect(settings, pacer_for(_bare(destination), journal, destination, str(Lane.DAILY), {}))
            there.append(destination)
        except ConfigError as error:
            missing[destination.name] = str(error)
    if not any(isinstance(d, CanBeSurveyed) for d in there):
        wanted = [missing[d.name] for d in destinations if isinstance(d, CanBeSurveyed)]
        raise ConfigError("no CRM can be reached, and one is needed:", *wanted)
    return there, missing


async def _survey(settings: Settings, destination: Destination, journal: JournalDatabase) -> Survey:
    assert isinstance(destination, CanBeSurveyed)
    pacer = pacer_for(_bare(destination), journal, destination, str(Lane.DAILY), {})
    try:
        async with destination.connect(settings, pacer) as client:
            return await destination.survey(client)
    except ConfigError as error:
        without = f"or leave its credential unset, to begin without {destination.name}"
        raise ConfigError(*(f"{destination.name}: {problem}" for problem in error.problems), without) from None


def _bare(destination: Destination) -> Activation:
    """Return an activation that says nothing but that there is this destination."""
    options = {destination.name: destination.settings_model()}
    return Activation(workspace=Workspace(), attributes={}, properties={}, audiences={}, destinations=options)


async def _customerio(settings: Settings, journal: JournalDatabase, people: int, chosen: int | None) -> Found:
    async with CustomerIO(settings, customerio_pacer(journal, str(Lane.DAILY))) as vendor:
        try:
            listed = await vendor.segments()
        except VendorError as error:
            told = mended(error, "CUSTOMERIO_APP_URL")
            if told == str(error):  # it says itself which setting to look at
                raise
            raise ConfigError(told) from None
        segments = await _counted(vendor, listed)
        counted_at = _now()
        source = _source(segments, chosen)
        members = await vendor.first_members(source.segment.id)
        if not members:
            raise ConfigError(f"nobody is in segment {source.segment.id} any more; name another one by --segment")
        drawn = [members[len(members) * i // min(people, len(members))] for i in range(min(people, len(members)))]
        profiles = await _profiles(vendor, drawn)
        if not profiles:
            raise ConfigError(f"none of the people in segment {source.segment.id} could be read; try --segment")
        now = _now()
        found, unnamed = attributes.count(profiles, now)
        segments = await _counted_again(vendor, segments, counted_at)
    sample = Sample(
        people=len(profiles), segment=source.segment, of=source.people or len(members), drawn_from=len(members)
    )
    return Found(read_at=now, segments=segments, sample=sample, attributes=found, unnamed=unnamed)


async def _counted(vendor: CustomerIO, listed: Sequence[Segment]) -> list[SegmentFound]:
    """Return the segments, counted as far as they can be: those whose names say something first."""
    order = sorted(listed, key=lambda s: (purposes.purpose_of(s.name) is None, s.id))
    counted = {s.id for s in [s for s in order if s.state == FINISHED][:MOST_COUNTED]}
    free = asyncio.Semaphore(AT_ONCE)

    async def one(segment: Segment) -> SegmentFound:
        if segment.id not in counted:
            return SegmentFound(segment=segment)
        async with free:
            return SegmentFound(segment=segment, people=await vendor.customer_count(segment.id))

    return list(await asyncio.gather(*(one(segment) for segment in sorted(listed, key=lambda s: s.id))))


async def _counted_again(vendor: CustomerIO, segments: Sequence[SegmentFound], before: datetime) -> list[SegmentFound]:
    """Return the segments, those that an audience may come from counted a second time."""
    again: list[SegmentFound] = []
    for one in segments:
        if one.people is not None and purposes.purpose_of(one.segment.name) is not None:
            change = await vendor.customer_count(one.segment.id) - one.people
            again.append(replace(one, change=change, apart_s=(_now() - before).total_seconds()))
        else:
            again.append(one)
    return again


def _source(segments: Sequence[SegmentFound], chosen: int | None) -> SegmentFound:
    """Return the segment that the sample is drawn from: the one asked for, else the largest."""
    if chosen is not None:
        for one in segments:
            if one.segment.id == chosen:
                if one.segment.state != FINISHED:
                    raise ConfigError(
                        f"--segment {chosen}: Customer.io is still building it; name another one, or wait"
                    )
                return one
        listed = ", ".join(f"{s.segment.id} ({s.segment.name})" for s in segments)
        raise ConfigError(f"--segment {chosen}: Customer.io has no such segment; it has {listed or 'none'}")
    counted = [s for s in segments if s.people]
    if not counted:
        raise ConfigError(
            "Customer.io has no segment with people in it: audiences come from segments. Make one "
            "there, for example of "
            "everybody whose cart is older than two hours, then run this again"
        )
    return max(counted, key=lambda s: (s.people or 0, -s.segment.id))


async def _profiles(vendor: CustomerIO, people: Sequence[Identifiers]) -> list[Mapping[str, str]]:
    free = asyncio.Semaphore(AT_ONCE)

    async def some(start: int) -> list[Mapping[str, str]]:
        async with free:
            asked = people[start : start + ATTRIBUTES_PER_CALL]
            fetched = await vendor.attributes_of(asked)
            done(len(asked))
            return [person.attributes for person in fetched.people]

    with working("profiles", len(people)) as done:
        found = await asyncio.gather(*(some(start) for start in range(0, len(people), ATTRIBUTES_PER_CALL)))
    return [profile for part in found for profile in part]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
