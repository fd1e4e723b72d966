"""A Pipedrive stand-in, a warehouse, and people whose state the tests write: one object to drive the steps with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import Activation, Audience, Lane, Property, PropertyType, Value, Workspace
from cio_activation.activation.settings import Settings
from cio_activation.activation.windows import Window
from cio_activation.delivery import catalog
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.pipedrive import DESTINATION
from cio_activation.destinations.pipedrive.api import tokens
from cio_activation.destinations.pipedrive.config import PipedriveAccess, PipedriveAudience, PipedriveSettings
from cio_activation.runtime import Runtime
from cio_activation.sandbox.pipedrive.app import Pipedrive
from cio_activation.sandbox.server.core import Shared
from cio_activation.sandbox.server.running import start
from cio_activation_tests.drivers import builders

LABELS = {"vip": "RET - VIP - Needs Outreach", "cart": "CART - Call Today"}
SEED = [
    {"email": "ann@example.com", "first_name": "Ann", "last_name": "Lee", "phone": "+12025550101"},
    {"email": "Bob@Example.com", "first_name": "Bob", "last_name": "Ray", "phone": None},
    {"email": "stranger@example.com", "first_name": "Sam", "last_name": None, "phone": None},
]
TYPES = {
    "bucket": ("daily", PropertyType.ENUM, "VARCHAR"),
    "lapsed": ("daily", PropertyType.FLAG, "BOOLEAN"),
    "category": ("daily", PropertyType.TEXT, "VARCHAR"),
    "ordered_on": ("daily", PropertyType.DATE, "DATE"),
    "spent": ("daily", PropertyType.NUMBER, "DOUBLE"),
    "cart_tier": ("realtime", PropertyType.ENUM, "VARCHAR"),
}


def prop(name: str) -> Property:
    lane, kind, _ = TYPES[name]
    return Property(
        name=name,
        label=name.title(),
        description=name,
        owner="retention@example.com",
        lane=Lane(lane),
        rule=Value(attribute="amount"),
        type=kind,
        labels=("low", "high") if kind is PropertyType.ENUM else (),
        deliver=("pipedrive",),
    )


def audience(name: str, lane: Lane = Lane.DAILY, label: str | None = None) -> Audience:
    return Audience(
        name=name,
        label=label or LABELS[name],
        description=name,
        owner="retention@example.com",
        segment=1,
        lane=lane,
        deliver={"pipedrive": PipedriveAudience()},
    )


def model(
    audiences: dict[str, Audience] | None = None, names: tuple[str, ...] = tuple(TYPES), **options: Any
) -> Activation:
    given = {"requests_per_2s": 2000} | options
    known = {"vip": audience("vip"), "cart": audience("cart", Lane.REALTIME)} if audiences is None else audiences
    return Activation(
        workspace=Workspace(),
        attributes={},
        properties={n: prop(n) for n in names},
        audiences=known,
        destinations={"pipedrive": PipedriveSettings(**given)},
    )


class Bench:
    """Drives schema and lanes; ``people``, ``inside`` and ``values`` are what the deciding rooms would have said."""

    def __init__(self, home: Path, vendor: Pipedrive, shared: Shared, environment: dict[str, str], **options: Any):
        self.vendor, self.shared, self.home = vendor, shared, home
        self._environment = {k.lower(): v for k, v in environment.items() if k.startswith("PIPEDRIVE")}
        self.use(model(**options))
        self.people: dict[str, dict[str, Any]] = {}
        self.inside: dict[str, set[str]] = {"vip": set(), "cart": set()}
        self.day = 0

    def use(self, activation: Activation) -> None:
        access = PipedriveAccess(_env_file=None, **self._environment)  # type: ignore[call-arg]
        settings = Settings(activation_home=self.home, _env_file=None).with_access(access)  # type: ignore[call-arg]
        self.runtime = Runtime.build(settings, activation)

    def person(
        self, cio_id: str, email: str | None, *, name: str = "", deliverable: bool = True, **values: Any
    ) -> None:
        self.people[cio_id] = {"email": email, "name": name, "deliverable": deliverable, "values": values}

    def schema(self) -> dict[str, Any]:
        return dict(run_schema(self.runtime, DESTINATION))

    def lane(self, lane: Lane = Lane.DAILY) -> StepReport:
        """Run mirror, links and fields in the next window; return the report of fields, with all its calls."""
        self.day += 1
        self._decide()
        calls: dict[str, int] = {}
        window = builders.window(self.day, lane)
        for step in DESTINATION.steps(self.runtime.activation):
            if step.lane == lane:
                report = self.step(step.name, window)
                for operation, count in report.calls.items():
                    calls[operation] = calls.get(operation, 0) + count
        self.calls, self.tokens = calls, tokens(calls)
        return report

    def step(self, name: str, window: Window | None = None) -> StepReport:
        step = next(s for s in DESTINATION.steps(self.runtime.activation) if s.name == name)
        assert step.lane is not None
        return run_step(self.runtime, DESTINATION, step, window or builders.window(self.day, step.lane), "run")

    def edit(self, action: str, **values: Any) -> dict[str, Any]:
        return self.vendor.edit({"action": action, **values})

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

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.runtime.warehouse.read() as con:
            return con.execute(sql).fetchall()

    def requests(self, method: str, path: str = "/api/v2/persons") -> list[Any]:
        found = [e for e in self.shared.log.entries if e.method == method and e.path.startswith(path)]
        return [e.request for e in found]

    def _decide(self) -> None:
        with self.runtime.warehouse.write() as con:
            con.execute(
                """CREATE OR REPLACE TABLE identity.persons (cio_id VARCHAR, external_id VARCHAR, email VARCHAR,
                phone VARCHAR, first_name VARCHAR, last_name VARCHAR, email_owner BOOLEAN, external_id_owner BOOLEAN,
                deliverable BOOLEAN, undeliverable_reason VARCHAR, changed_at TIMESTAMP)"""
            )
            for cio_id, p in self.people.items():
                first, _, last = p["name"].partition(" ")
                con.execute(
                    "INSERT INTO identity.persons VALUES (?, NULL, ?, NULL, ?, ?, ?, false, ?, NULL, NULL)",
                    [cio_id, p["email"], first or None, last or None, p["deliverable"], p["deliverable"]],
                )
            con.execute("DELETE FROM audience.memberships")
            for name, members in self.inside.items():
                for cio_id in members:
                    con.execute(
                        "INSERT INTO audience.memberships (audience, version, cio_id) VALUES (?, 1, ?)", [name, cio_id]
                    )
            for lane in Lane:
                self._state(con, lane)

    def _state(self, con: Any, lane: Lane) -> None:
        names = [p.name for p in self.runtime.activation.lane_properties(lane)]
        columns = "".join(f", {n} {TYPES[n][2]}" for n in names)
        con.execute(f"CREATE OR REPLACE TEMP TABLE given (cio_id VARCHAR{columns})")
        for cio_id, p in self.people.items():
            row = [cio_id, *(p["values"].get(n) for n in names)]
            con.execute(f"INSERT INTO given VALUES ({', '.join('?' * len(row))})", row)
        listed = ", ".join(names) or "0"
        con.execute(
            f"CREATE OR REPLACE TABLE state.{lane}_properties AS SELECT *, hash({listed}) AS hash_pipedrive FROM given"
        )


Make = Callable[..., Bench]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Start accounts with any options of the stand-in (``account``) and of the activation."""
    stops: list[Callable[[], None]] = []

    def one(seed: list[dict[str, Any]] | None = None, account: dict[str, Any] | None = None, **options: Any) -> Bench:
        shared = Shared()
        vendor = Pipedrive(shared, SEED if seed is None else seed, **({"limited": False} | (account or {})))
        running = start({"pipedrive": vendor}, shared)
        running.urls |= {"customerio": "", "hubspot": ""}
        stops.append(running.stop)
        return Bench(tmp_path / f"home{len(stops)}", vendor, shared, running.environment(), **options)

    yield one
    for stop in stops:
        threading.Thread(target=stop).start()


@pytest.fixture
def bench(make: Make) -> Bench:
    """Return a fresh account with three persons, the schema in place."""
    fresh = make()
    fresh.schema()
    return fresh
