"""Pipedrive: an account, a home pointed at it, and people of whom a test says what was decided."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Activation, Audience, Lane, Match, Property, PropertyType
from cio_activation.activation.windows import Window
from cio_activation.delivery import catalog
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.pipedrive import DESTINATION
from cio_activation.destinations.pipedrive.api import tokens
from cio_activation.destinations.pipedrive.config import PipedriveAudience, PipedriveSettings
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.bench import VendorBench
from cio_activation_tests.drivers.decided import write_members, write_persons, write_state
from cio_activation_tests.drivers.stand_ins.pipedrive import PipedriveStandIn, begin

LABELS = {"vip": "RET - VIP - Needs Outreach", "cart": "CART - Call Today"}
SEED: list[dict[str, Any]] = [
    {"email": "ann@example.com", "first_name": "Ann", "last_name": "Lee", "phone": "+12025550101"},
    {"email": "Bob@Example.com", "first_name": "Bob", "last_name": "Ray", "phone": None},
    {"email": "stranger@example.com", "first_name": "Sam", "last_name": None, "phone": None},
]
TYPES = {
    "bucket": (Lane.DAILY, PropertyType.ENUM),
    "lapsed": (Lane.DAILY, PropertyType.FLAG),
    "category": (Lane.DAILY, PropertyType.TEXT),
    "ordered_on": (Lane.DAILY, PropertyType.DATE),
    "spent": (Lane.DAILY, PropertyType.NUMBER),
    "cart_tier": (Lane.REALTIME, PropertyType.ENUM),
}


def prop(name: str) -> Property:
    """Return one of the properties of ``TYPES``, delivered here."""
    lane, kind = TYPES[name]
    labels = ("low", "high") if kind is PropertyType.ENUM else ()
    return builders.prop(name, kind, lane, labels, deliver=("pipedrive",), label=name.title())


def audience(name: str, lane: Lane = Lane.DAILY, label: str | None = None) -> Audience:
    """Return an audience that is delivered here as a flag."""
    return builders.audience(name, lane, label=label or LABELS[name], deliver={"pipedrive": PipedriveAudience()})


def model(
    audiences: dict[str, Audience] | None = None,
    names: tuple[str, ...] = tuple(TYPES),
    match: Match | None = None,
    **options: Any,
) -> Activation:
    """Return an activation for Pipedrive alone; ``options`` as under its ``destinations``."""
    given = {"requests_per_2s": 2000} | options
    known = {"vip": audience("vip"), "cart": audience("cart", Lane.REALTIME)} if audiences is None else audiences
    destinations = {"pipedrive": PipedriveSettings(**given)}
    return builders.activation(
        *map(prop, names), audiences=known.values(), attributes={}, destinations=destinations, match=match
    )


class PipedriveBench(VendorBench[PipedriveStandIn]):
    """Drives schema and lanes; ``people``, ``inside`` and ``values`` are what the deciding rooms would have said."""

    def __init__(self, home: Path, stand_in: PipedriveStandIn, activation: Activation) -> None:
        super().__init__(home, stand_in, activation)
        self.vendor = stand_in.vendor
        self.people: dict[str, dict[str, Any]] = {}
        self.inside: dict[str, set[str]] = {"vip": set(), "cart": set()}
        self.reports: dict[str, StepReport] = {}

    def person(
        self,
        cio_id: str,
        email: str | None,
        *,
        name: str = "",
        deliverable: bool = True,
        phone: str | None = None,
        **values: Any,
    ) -> None:
        """Have a person, with these values of properties; a ``phone`` is nobody else's."""
        self.people[cio_id] = {
            "email": email, "name": name, "deliverable": deliverable, "phone": phone, "values": values
        }  # fmt: skip

    def schema(self) -> dict[str, Any]:
        return dict(run_schema(self.runtime, DESTINATION))

    def lane(self, lane: Lane = Lane.DAILY) -> StepReport:
        """Run mirror, links and fields in the next window; return the report of fields, with all its calls."""
        self.day += 1
        self.decide()
        calls: dict[str, int] = {}
        window = builders.window(self.day, lane)
        for step in DESTINATION.steps(self.runtime.activation):
            if step.lane == lane:
                self.reports[step.name] = self.step(step.name, window)
                for operation, count in self.reports[step.name].calls.items():
                    calls[operation] = calls.get(operation, 0) + count
        self.calls, self.tokens = calls, tokens(calls)
        return self.reports[f"fields_{lane}"]

    def step(self, name: str, window: Window | None = None) -> StepReport:
        step = next(s for s in DESTINATION.steps(self.runtime.activation) if s.name == name)
        assert step.lane is not None
        return run_step(self.runtime, DESTINATION, step, window or builders.window(self.day, step.lane), "run")

    @property
    def there(self) -> dict[str, dict[str, Any]]:
        """Persons of the account by first e-mail, lower case; custom values by field name."""
        persons = self.vendor.state()["persons"].values()
        return {(p["emails"] or ["?"])[0].lower(): p for p in persons}

    def fields(self, email: str) -> dict[str, Any]:
        return {k: v for k, v in self.there[email]["custom_fields"].items() if v is not None}

    @property
    def catalog(self) -> dict[str, Any]:
        return dict(catalog.load(self.runtime.warehouse, "pipedrive"))

    def requests(self, method: str, path: str = "/api/v2/persons") -> list[Any]:
        found = [e for e in self.shared.log.entries if e.method == method and e.path.startswith(path)]
        return [e.request for e in found]

    def decide(self) -> None:
        """Write what is said of the people, as the deciding rooms would; a lane's run begins with it."""
        rows = []
        for cio_id, p in self.people.items():
            first, _, last = p["name"].partition(" ")
            named = {"first_name": first or None, "last_name": last or None}
            keys = {"email": p["email"], "phone": p["phone"], "phone_owner": p["phone"] is not None}
            rows.append({"cio_id": cio_id, "deliverable": p["deliverable"], **keys, **named})
        write_persons(self.runtime, rows)
        write_members(self.runtime, self.inside)
        for lane in Lane:
            write_state(self.runtime, lane, {c: p["values"] for c, p in self.people.items()})


Make = Callable[..., PipedriveBench]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Start accounts with any options of the stand-in (``account``) and of the activation."""
    made: list[PipedriveBench] = []

    def one(
        seed: list[dict[str, Any]] | None = None, account: dict[str, Any] | None = None, **options: Any
    ) -> PipedriveBench:
        stand_in = begin(SEED if seed is None else seed, **(account or {}))
        made.append(PipedriveBench(tmp_path / f"home{len(made)}", stand_in, model(**options)))
        return made[-1]

    yield one
    for bench in made:
        bench.stop()


@pytest.fixture
def bench(make: Make) -> PipedriveBench:
    """Return a fresh account with three persons, the schema in place."""
    fresh = make()
    fresh.schema()
    return fresh
