"""One person of a sample: each value, audience and action as it is here, and as each CRM holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isclose

from cio_activation.activation.models import Activation, PropertyType
from cio_activation.delivery.outreach import OpenAction, Status
from cio_activation.delivery.read_back import Presence, SeenRecord
from cio_activation.sign_off.drawing import Of, Stratum
from cio_activation.sign_off.reading import Place

NO_RECORD, SILENT, SAME = "no record", "not told", "the same"
ENDED = frozenset({Status.DONE, Status.DELETED})


@dataclass(kw_only=True)
class Here:
    """What we know of one person."""

    cio_id: str
    email: str | None
    external_id: str | None
    values: dict[str, str] = field(default_factory=dict)
    """Property -> value; without one it has none."""
    audiences: set[str] = field(default_factory=set)
    ghosts: set[str] = field(default_factory=set)
    """Audiences that the person is held out of."""
    records: dict[str, str] = field(default_factory=dict)
    """Destination -> record id."""
    stamped: set[str] = field(default_factory=set)
    """Destinations that acknowledged our id on the record."""
    actions: list[tuple[str, str, OpenAction]] = field(default_factory=list)
    """Destination, audience, and what is open there."""


@dataclass(frozen=True)
class There:
    """What one CRM holds of it."""

    value: str
    differs: bool = False


@dataclass(frozen=True)
class Row:
    """One thing that is delivered."""

    of: str
    """``record``, ``field``, ``list`` or ``action``."""
    name: str
    here: str
    there: Mapping[str, There]
    """Destination -> what it holds; one that it is not delivered to has none."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person, side by side."""

    cio_id: str
    email: str | None
    external_id: str | None
    strata: Sequence[str]
    pages: Mapping[str, str]
    """Destination -> address of the record."""
    rows: Sequence[Row]

    @property
    def differs(self) -> bool:
        """Whether anything lies otherwise in a CRM."""
        return any(cell.differs for row in self.rows for cell in row.there.values())


def side_by_side(activation: Activation, here: Here, strata: Sequence[Stratum], places: Sequence[Place]) -> Person:
    """Return what is here of a person beside what is there."""
    return Person(
        cio_id=here.cio_id,
        email=here.email,
        external_id=here.external_id,
        strata=[str(one) for one in strata if _is_in(here, one)],
        pages={p.name: f"{p.pages}{here.records[p.name]}" for p in places if p.pages and p.name in here.records},
        rows=[
            Row("record", "record", here.cio_id, {p.name: _record(here, p) for p in places}),
            *_fields(activation, here, places),
            *_lists(activation, here, places),
            *_actions(here, places),
        ],
    )


def _is_in(here: Here, stratum: Stratum) -> bool:
    if stratum.of is Of.NONE:
        return not here.audiences | here.ghosts
    if stratum.of is Of.AUDIENCE:
        return stratum.name in here.audiences
    return here.values.get(stratum.name) == stratum.label


def _seen(here: Here, place: Place) -> SeenRecord | None:
    """Return the person's record, if it is there."""
    found = place.records.get(here.records.get(place.name, ""))
    return found if found is not None and found.presence is Presence.THERE else None


def _record(here: Here, place: Place) -> There:
    """Return whose id the record carries, or what has become of it."""
    if place.name not in here.records:
        return There(NO_RECORD)
    found = place.records.get(here.records[place.name])
    if found is None:
        return There(SILENT, differs=True)
    if found.presence is not Presence.THERE:
        return There(f"record {found.presence}", differs=True)
    # Somebody who was only found there, and whom nothing was written to yet, does not carry our id.
    if not found.key:
        return There("without our id", differs=place.name in here.stamped)
    return There(SAME) if found.key == here.cio_id else There(found.key, differs=True)


def _fields(activation: Activation, here: Here, places: Sequence[Place]) -> Iterator[Row]:
    for prop in activation.properties.values():
        value, there = _shown(prop.type, here.values.get(prop.name, "")), {}
        for place in places:
            if place.name not in prop.deliver or prop.name not in place.comparable.fields:
                continue
            seen = _seen(here, place)
            if seen is not None and prop.name in seen.values:
                theirs = seen.values[prop.name]
                there[place.name] = There(theirs, not _same(prop.type, value, theirs))
        if there or value:
            yield Row("field", prop.name, value, there)


def _shown(kind: PropertyType, value: str) -> str:
    """Return a value of ours with no more digits than a CRM is given."""
    return f"{float(value):.15g}" if kind is PropertyType.NUMBER and value else value


def _same(kind: PropertyType, ours: str, theirs: str) -> bool:
    """Tell whether both texts are one value; vendors write numbers in their own way, and trim texts."""
    if kind is PropertyType.NUMBER and ours and theirs:
        try:
            return isclose(float(ours), float(theirs), rel_tol=1e-9)
        except ValueError:
            return False
    return ours.strip() == theirs.strip()


def _lists(activation: Activation, here: Here, places: Sequence[Place]) -> Iterator[Row]:
    for audience in activation.audiences.values():
        ours, there, anywhere = audience.name in here.audiences, {}, audience.name in here.audiences | here.ghosts
        for place in places:
            if place.name not in audience.deliver or audience.name not in place.comparable.sizes:
                continue
            seen = _seen(here, place)
            if seen is None or seen.audiences is None:
                # Whose record is gone is told of that once; somebody without any should be in, and cannot be.
                missing = ours and place.name not in here.records
                there[place.name] = There(NO_RECORD if place.name not in here.records else SILENT, missing)
                continue
            theirs = audience.name in seen.audiences
            there[place.name] = There("in" if theirs else "out", theirs != ours)
            anywhere = anywhere or theirs
        if anywhere:
            held_out = "out (held out)" if audience.name in here.ghosts else "out"
            yield Row("list", audience.name, "in" if ours else held_out, there)


def _actions(here: Here, places: Sequence[Place]) -> Iterator[Row]:
    at = {place.name: place for place in places}
    for destination, audience, action in here.actions:
        due = f", due {action.due_at:%Y-%m-%d %H:%M} UTC" if action.due_at else ""
        there = {}
        if destination in at:
            seen = at[destination].actions.get(action.record_id)
            told = SILENT if seen is None else str(seen.status).replace("_", " ")
            there[destination] = There(told, seen is not None and seen.status in ENDED)
        yield Row("action", f"{action.kind} of {audience}", f"{action.status}{due}".replace("_", " "), there)
