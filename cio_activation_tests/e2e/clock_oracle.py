"""What the clock alone makes of people, in plain Python: from the sandbox's facts and the activation's edges.

Shares no code with the package: the activation of ``clock_world`` is written here a second time, on purpose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from cio_activation_tests.drivers.oracles import rules as reference

Person = Mapping[str, Any]
"""One row of the sandbox's facts: typed values, times in seconds since the epoch, ``in_<segment>``."""
Values = dict[str, str | None]
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


class Fact(NamedTuple):
    """One thing a CRM holds of one person: a value of ours, or that the person is in an audience."""

    destination: str
    cio_id: str
    what: str
    value: str


@dataclass(frozen=True)
class Audience:
    """One audience's rules. Nobody buys and no segment moves here, so only the gate and the clock end a stay."""

    lane: str
    segment: int
    gate: Callable[[Values], bool]
    grace: timedelta = timedelta(0)
    expires_after: timedelta | None = None
    destinations: tuple[str, ...] = ("hubspot", "pipedrive")


AUDIENCES = {
    "lapsed": Audience("daily", 10, lambda v: v["lapse"] == "91-180"),
    "due": Audience("daily", 11, lambda v: v["reorder"] == "due", grace=DAY, expires_after=3 * DAY),
    "slipping": Audience(
        "daily", 6, lambda v: v["at_risk"] == "true", expires_after=5 * DAY, destinations=("hubspot",)
    ),
    "asked": Audience("daily", 9, lambda _: True, expires_after=2 * DAY, destinations=("hubspot",)),
    "left_cart": Audience("realtime", 2, lambda v: v["cart_stage"] == "abandoned", grace=HOUR, expires_after=24 * HOUR),
}
PROPERTIES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "daily": {"hubspot": ("lapse", "reorder", "at_risk"), "pipedrive": ("lapse", "reorder")},
    "realtime": {"hubspot": ("cart_stage",), "pipedrive": ("cart_stage",)},
}


@dataclass
class Stay:
    """A person's eligibility for one audience: since when, and from when on in it; ``spent`` once it expired."""

    since: datetime
    entered_at: datetime | None = None
    spent: bool = False


@dataclass(frozen=True)
class Due:
    """What one window has to come to."""

    facts: frozenset[Fact]
    """What the CRMs have to hold after it."""
    changed: int
    """People whose state in the lane is another one than in the lane's window before."""
    entered: Counter[str]
    left: Counter[tuple[str, str]]
    """(audience, reason) -> people."""


@dataclass
class Oracle:
    """Everybody's states and stays, window by window."""

    people: Sequence[Person]
    in_pipedrive: set[str]
    """Who has a person there; whoever enters an audience that is delivered there gets one."""
    states: dict[str, dict[str, Values]] = field(default_factory=dict)
    stays: dict[str, dict[str, Stay]] = field(default_factory=lambda: {name: {} for name in AUDIENCES})
    shown: dict[str, frozenset[Fact]] = field(default_factory=dict)
    """Lane -> values its last window left in the CRMs."""

    def end_window(self, lane: str, as_of: datetime) -> Due:
        """Let a window of ``lane`` end at ``as_of`` (naive UTC); return what it has to come to."""
        before = self.states.get(lane, {})
        self.states[lane] = state = (_daily if lane == "daily" else _realtime)(self.people, as_of)
        entered: Counter[str] = Counter()
        left: Counter[tuple[str, str]] = Counter()
        for name, audience in AUDIENCES.items():
            if audience.lane == lane:
                self._move(name, audience, state, as_of, entered, left)
        self.in_pipedrive |= {f.cio_id for f in self._members() if f.destination == "pipedrive"}
        self.shown[lane] = frozenset(self._values(lane))
        changed = sum(state[who] != before.get(who) for who in state)
        ids = {Fact("hubspot", who, "id", who) for who in state}
        ids |= {Fact("pipedrive", who, "id", who) for who in self.in_pipedrive}
        return Due(frozenset().union(ids, self._members(), *self.shown.values()), changed, entered, left)

    def _move(
        self,
        name: str,
        audience: Audience,
        state: Mapping[str, Values],
        as_of: datetime,
        entered: Counter[str],
        left: Counter[tuple[str, str]],
    ) -> None:
        stays = self.stays[name]
        eligible = {
            p["cio_id"] for p in self.people if p[f"in_{audience.segment}"] and audience.gate(state[p["cio_id"]])
        }
        for who in stays.keys() - eligible:
            if stays.pop(who).entered_at is not None:
                left[name, "gate"] += 1
        for who in eligible:
            stay = stays.setdefault(who, Stay(as_of))
            if stay.entered_at is not None:
                if audience.expires_after is not None and as_of - stay.entered_at >= audience.expires_after:
                    stay.entered_at, stay.spent = None, True
                    left[name, "expired"] += 1
            elif not stay.spent and as_of - stay.since >= audience.grace:
                stay.entered_at = as_of
                entered[name] += 1

    def _members(self) -> set[Fact]:
        return {
            Fact(destination, who, "audience", name)
            for name, stays in self.stays.items()
            for destination in AUDIENCES[name].destinations
            for who, stay in stays.items()
            if stay.entered_at is not None
        }

    def _values(self, lane: str) -> set[Fact]:
        return {
            Fact(destination, who, name, value)
            for destination, names in PROPERTIES[lane].items()
            for who, values in self.states[lane].items()
            for name in names
            if (value := values[name]) is not None and (destination == "hubspot" or who in self.in_pipedrive)
        }


def _daily(people: Sequence[Person], as_of: datetime) -> dict[str, Values]:
    derived = reference.derive({p["cio_id"]: _as_referred(p) for p in people}, as_of)
    return {
        who: {"lapse": v["lapse"], "reorder": v["reorder"], "at_risk": "true" if v["at_risk"] else "false"}
        for who, v in derived.items()
    }


def _as_referred(person: Person) -> dict[str, Any]:
    """Return a person under the names that the reference of the state rules knows."""
    return {
        "last_order_at": _time(person["last_order_at"]),
        "orders": person["orders_count"],
        "gap_days": person["median_days_between_orders"],
        "category": person["last_category"],
    }


def _realtime(people: Sequence[Person], as_of: datetime) -> dict[str, Values]:
    return {p["cio_id"]: {"cart_stage": _cart_stage(p, as_of)} for p in people}


def _cart_stage(person: Person, as_of: datetime) -> str:
    changed_at = _time(person["cart_updated_at"])
    if changed_at is None or person["cart_stage_raw"] == "empty" or as_of - changed_at >= 72 * HOUR:
        return "none"
    return "abandoned" if as_of - changed_at >= 2 * HOUR else "open"


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
