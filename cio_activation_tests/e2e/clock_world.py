"""An installation whose Customer.io stands still: its profiles and segments are those of one moment, for weeks.

Only the clock moves, window by window, through the lanes' own Dagster jobs, so that whatever changes in the CRMs is the
clock's doing: buckets age, reorder windows open and close, grace ends, stays expire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from cio_activation.activation.loader import load_activation
from cio_activation.cli.readback import READS
from cio_activation.definitions import build_definitions
from cio_activation.destinations import DESTINATIONS
from cio_activation.sandbox.build import build_sandbox
from cio_activation.sandbox.customerio.app import CustomerIO
from cio_activation.sandbox.server.request_log import Entry
from cio_activation.sandbox.server.running import RunningSandbox
from cio_activation.sandbox.world.orders import generate
from cio_activation.sandbox.world.world import World
from cio_activation_tests.e2e.clock_oracle import Fact, Person

PEOPLE = 300
ZONE = ZoneInfo("America/New_York")
FROZEN = datetime(2025, 10, 28, 3, 30, tzinfo=UTC)
"""The moment Customer.io stands still at: half an hour before the first day ends, a week before the clocks change."""
QUARTER = timedelta(minutes=15)
CARTS = (8, 25, 70, 200)
"""Minutes before ``FROZEN`` at which somebody fills a cart by hand, for the first hours to have carts that age."""
CRMS = ("hubspot", "pipedrive")

# Short stays, so that they end within the days of a test. Guards would hold audiences that come and go at once.
ACTIVATION = """
workspace: {timezone: America/New_York, currency: USD, default_region: US, prefix: cio_, realtime_window: 15m,
            start: 2025-10-01, purchase_attribute: last_order_at}
match: {keys: [external_id, email]}
attributes:
  last_order_at: {type: timestamp}
  orders: {from: orders_count, type: integer}
  gap_days: {from: median_days_between_orders, type: number}
  category: {from: last_category, type: text}
  cart_stage_raw: {type: text}
  cart_updated_at: {type: timestamp}
properties:
  lapse: {days_since: last_order_at, edges: [30, 90, 180], labels: ["0-30", "31-90", "91-180", "181+"], lane: daily,
          owner: retention@example.com}
  reorder: {expect_next: {from: last_order_at, every: gap_days, open: -3d, close: +7d, fallback_by: category},
            lane: daily, owner: retention@example.com}
  at_risk: {flag: days_since(last_order_at) > 60 AND orders >= 2, lane: daily, owner: retention@example.com,
            deliver: [hubspot]}
  cart_stage:
    cases:
      - {label: none, when: hours_since(cart_updated_at) >= 72}
      - {label: abandoned, when: "cart_stage_raw IN ('cart', 'checkout') AND hours_since(cart_updated_at) >= 2"}
      - {label: open, when: "cart_stage_raw IN ('cart', 'checkout')"}
    otherwise: none
    lane: realtime
    owner: retention@example.com
audiences:
  lapsed: {label: Lapsed 91-180 days, owner: cx@example.com, segment: 10, lane: daily, gate: lapse = '91-180',
           deliver: {hubspot: {list: true}, pipedrive: {flag: true}}}
  due: {label: Next order due, owner: cx@example.com, segment: 11, lane: daily, gate: reorder = 'due', grace: 1d,
        expires_after: 3d, exit_on: [left_segment, purchase], deliver: {hubspot: {list: true}, pipedrive: {flag: true}}}
  slipping: {label: Big spender slips away, owner: cx@example.com, segment: 6, lane: daily, gate: at_risk,
             expires_after: 5d, exit_on: [left_segment, purchase], deliver: {hubspot: {list: true}}}
  asked: {label: Asked where the order is, owner: cx@example.com, segment: 9, lane: daily, expires_after: 2d,
          deliver: {hubspot: {list: true}}}
  left_cart: {label: Left a cart, owner: cx@example.com, segment: 2, lane: realtime, gate: cart_stage = 'abandoned',
              grace: 1h, expires_after: 24h, exit_on: [left_segment, purchase],
              deliver: {hubspot: {list: true}, pipedrive: {flag: true}}}
limits: {guards: {share_floor: 1000}}
destinations:
  hubspot: {rate_share: 1.0, requests_per_10s: 1000}
  pipedrive: {rate_share: 1.0, requests_per_2s: 4000}
"""


@dataclass(frozen=True)
class Ran:
    """One window's run as it was seen from outside."""

    lane: str
    key: str
    as_of: datetime
    """The window's end, naive UTC, worked out here."""
    failed: tuple[str, ...]
    """Steps that failed."""
    metadata: Mapping[str, Mapping[str, Any]] = field(repr=False)
    """Asset (``state/daily_properties``) -> what it reported."""
    holds: frozenset[Fact] = field(repr=False)
    """What the CRMs showed after it."""
    writes: tuple[Entry, ...] = field(repr=False)
    """Calls to the CRMs that can change something."""
    written: frozenset[tuple[str, str]] = field(repr=False)
    """Destination and ``cio_id`` of every record that was named in such a call."""


class ClockWorld:
    """The stand-ins, Customer.io frozen, and the installation at ``home``."""

    def __init__(self, home: Path, sandbox: RunningSandbox, instance: dg.DagsterInstance) -> None:
        self.sandbox = sandbox
        self._instance = instance
        (home / "activation.yaml").write_text(ACTIVATION)
        activation = load_activation(home / "activation.yaml", DESTINATIONS)
        self._definitions = build_definitions(activation)
        self._audiences = {a.label: name for name, a in activation.audiences.items()}
        self.people = self._freeze()

    def _freeze(self) -> list[Person]:
        """Let a few fill carts and a colleague pick the regular customers, then stop Customer.io; return its people."""
        customerio = self.sandbox.vendors["customerio"]
        assert isinstance(customerio, CustomerIO)
        everyone = customerio.world.at(FROZEN.timestamp()).facts.to_pylist()
        for minutes, who in zip(CARTS, [p for p in everyone if p["orders_count"] >= 2], strict=False):
            at = (FROZEN - timedelta(minutes=minutes)).timestamp()
            customerio.edit({"action": "fill_cart", "cio_id": who["cio_id"], "value": 120.0, "at": at})
        regulars = {p["cio_id"] for p in everyone if p["orders_count"] >= 2}
        for who in regulars:
            customerio.edit({"action": "add_to_segment", "cio_id": who, "segment": 11})
        customerio.edit({"action": "freeze", "at": FROZEN.timestamp()})
        facts = customerio.world.at(FROZEN.timestamp()).facts.to_pylist()
        return [p | {"in_11": p["cio_id"] in regulars} for p in facts]

    def in_pipedrive(self) -> set[str]:
        """Return the ``cio_id`` of those whom Pipedrive has under their e-mail."""
        persons = self.sandbox.vendors["pipedrive"].state()["persons"].values()
        emails = {e.lower() for p in persons for e in p["emails"]}
        return {p["cio_id"] for p in self.people if p["email"] in emails}

    def day(self, key: str) -> Ran:
        """Let a day (``YYYY-MM-DD``, New York) end and run its window."""
        midnight = datetime.combine(date.fromisoformat(key) + timedelta(days=1), datetime.min.time(), ZONE)
        return self._run("daily", key, midnight.astimezone(UTC))

    def quarter(self, ends: datetime) -> Ran:
        """Let the quarter of an hour that ends at ``ends`` (UTC) pass and run its window."""
        return self._run("realtime", (ends - QUARTER).strftime("%Y-%m-%dT%H:%M"), ends)

    def _run(self, lane: str, key: str, ends: datetime) -> Ran:
        log = self.sandbox.shared.log
        self.sandbox.shared.clock.set(ends.timestamp() + 60)
        mark = log.last
        done = self._definitions.resolve_job_def(lane).execute_in_process(
            partition_key=key,
            instance=self._instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        calls = [e for vendor in CRMS for e in log.since(mark, vendor, None)]
        writes = tuple(e for e in calls if e.method != "GET" and not e.path.endswith(READS))
        there = {name: self.sandbox.vendors[name].state() for name in CRMS}
        return Ran(
            lane,
            key,
            ends.replace(tzinfo=None),
            tuple(e.step_key or "" for e in done.all_events if e.event_type_value == "STEP_FAILURE"),
            _metadata(done),
            frozenset(self._facts(there)),
            writes,
            frozenset(_written(writes, there)),
        )

    def _facts(self, there: Mapping[str, Any]) -> Iterator[Fact]:
        owners = {}
        for record, contact in there["hubspot"]["contacts"].items():
            owners[record] = who = contact.get("cio_id") or f"contact {record}"
            for name, value in contact.items():
                if name.startswith("cio_") and value:
                    yield Fact("hubspot", who, name.removeprefix("cio_"), value)
        for one in there["hubspot"]["lists"]:
            for record in one["members"]:
                yield Fact("hubspot", owners[record], "audience", self._audiences[one["name"].removesuffix(" [v1]")])
        for person in there["pipedrive"]["persons"].values():
            fields = {n.removeprefix("cio_"): v for n, v in person["custom_fields"].items() if v}
            who = fields.get("id") or f"person {person['id']}"
            for label in fields.pop("audiences", ()):
                yield Fact("pipedrive", who, "audience", self._audiences[label])
            for name, value in fields.items():
                yield Fact("pipedrive", who, name, value)


@contextmanager
def clock_world(home: Path) -> Iterator[ClockWorld]:
    """Run the stand-ins and point this process at them."""
    world = World(generate(PEOPLE, ends_at=FROZEN.timestamp()), dirty_share=0.0)
    sandbox = build_sandbox(
        world,
        export_seconds=0.0,
        customerio={"limited": False},
        hubspot={"limited": False, "property_lag_s": 0.0, "search_lag_s": 0.0},
        pipedrive={"limited": False},
    )
    try:
        with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
            for name, value in (sandbox.environment() | {"ACTIVATION_HOME": str(home)}).items():
                patch.setenv(name, value)
            yield ClockWorld(home, sandbox, instance)
    finally:
        sandbox.stop()


def _metadata(done: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    made = [e.step_materialization_data.materialization for e in done.all_events if e.is_step_materialization]
    return {"/".join(m.asset_key.path): {name: v.value for name, v in m.metadata.items()} for m in made if m.asset_key}


def _written(writes: tuple[Entry, ...], there: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return whom ``writes`` named, by the records' owners; schema calls name nobody."""
    contacts = {i: c.get("cio_id", i) for i, c in there["hubspot"]["contacts"].items()}
    persons = {i: p["custom_fields"].get("cio_id", i) for i, p in there["pipedrive"]["persons"].items()}
    for entry in writes:
        if entry.path.startswith("/crm/objects/"):
            # A creation names the person, an update the record.
            for one in entry.request["inputs"]:
                yield "hubspot", contacts[one["id"]] if "id" in one else one["properties"]["cio_id"]
        elif entry.path.endswith("/memberships/add-and-remove"):
            named = entry.request["recordIdsToAdd"] + entry.request["recordIdsToRemove"]
            yield from (("hubspot", contacts[record]) for record in named)
        elif entry.path.startswith("/api/v2/persons"):
            yield "pipedrive", persons[str(entry.response["data"]["id"])]
