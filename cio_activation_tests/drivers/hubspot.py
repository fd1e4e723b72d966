"""HubSpot: a portal, a home pointed at it, and what the deciding rooms say of its people."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, Audience, Lane, Property, PropertyType
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.hubspot import DESTINATION
from cio_activation.destinations.hubspot.config import HubSpotAudience, HubSpotSettings
from cio_activation.sandbox.hubspot.app import HubSpot
from cio_activation.sandbox.server.request_log import Entry
from cio_activation_tests.drivers import builders
from cio_activation_tests.drivers.bench import VendorBench
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.decided import write_entries, write_members, write_persons, write_state
from cio_activation_tests.drivers.stand_ins.hubspot import HubSpotStandIn, begin
from cio_activation_tests.drivers.tables import noting

LABEL = "RET - Zurückgewinnen/Winback - Call Today"
_READ = ("identity.persons", "state.realtime_properties", "audience.memberships")
WRITES = ("batch/update", "batch/upsert", "batch/create", "add-and-remove")


prop = partial(builders.prop, deliver=("hubspot",))
"""A property that is delivered here: name, kind, lane, labels."""


def audience(name: str, lane: Lane, label: str, version: int = 1, **options: Any) -> Audience:
    """Return an audience kept as a list here; ``options``: what the activation says of it under ``hubspot``."""
    deliver = {"hubspot": HubSpotAudience(**options)}
    return builders.audience(name, lane, label=label, version=version, deliver=deliver)


DAILY = (
    prop("lapse_bucket", PropertyType.ENUM, labels=("0-30", "31-90", "91+")),
    prop("second_order_due", PropertyType.FLAG),
    prop("last_category", PropertyType.TEXT),
    prop("last_engaged", PropertyType.DATE),
    prop("ltv", PropertyType.NUMBER),
)
REALTIME = (prop("cart_tier", PropertyType.ENUM, Lane.REALTIME, ("low", "mid", "high")),)
AUDIENCES = (
    audience("winback", Lane.DAILY, LABEL),
    audience("hot_cart", Lane.REALTIME, "RET - Hot Cart - Help Now"),
)


def make_activation(
    properties: Sequence[Property] = (*DAILY, *REALTIME),
    audiences: Sequence[Audience] = AUDIENCES,
    **settings: Any,
) -> Activation:
    """Return an activation for HubSpot alone; ``settings`` as under its ``destinations``. As fast as the pacer allows."""
    options = HubSpotSettings(**{"rate_share": 1.0, "requests_per_10s": 1000, **settings})
    return builders.activation(*properties, audiences=audiences, attributes={}, destinations={"hubspot": options})


def person(n: int, email: str | None = "", **more: Any) -> dict[str, Any]:
    """Return the n-th person as a row of ``identity.persons``."""
    found = {
        "cio_id": f"p{n:05d}",
        "email": f"person{n}@example.com" if email == "" else email,
        "first_name": f"Zoë {n}",
        "last_name": "Ñandú 🌱",
        "phone": f"+1202555{n:04d}",
        "deliverable": True,
    }
    return found | more


class HubSpotBench(VendorBench[HubSpotStandIn]):
    """One portal and one home. Each ``run`` is a new window."""

    @property
    def portal(self) -> HubSpot:
        """The object behind the portal."""
        return self.stand_in.vendor

    def schema(self) -> Mapping[str, Any]:
        return run_schema(self.runtime, DESTINATION)

    def persons(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Make exactly ``rows`` the persons."""
        write_persons(self.runtime, rows)

    def state(self, rows: Mapping[str, Mapping[str, Any]], lane: Lane = Lane.DAILY) -> None:
        """Make the lane's state table hold exactly ``rows``: person -> property -> value; others are NULL."""
        write_state(self.runtime, lane, rows)

    def members(self, name: str, people: Iterable[str]) -> None:
        """Make exactly ``people`` the present members; those who were in before have left."""
        write_members(self.runtime, {name: people})

    def enter(
        self, name: str, inside: Mapping[str, Mapping[str, Any]] | Iterable[str], reason: str = "left_segment"
    ) -> None:
        """Make exactly ``inside`` the people in a touch audience; see ``decided.write_entries``."""
        said = inside if isinstance(inside, Mapping) else {cio_id: {} for cio_id in inside}
        at = window(self.day + 1).end.replace(tzinfo=None)
        write_entries(self.runtime, name, said, at=at, reason=reason)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """Every task of the portal, archived ones too, by its id."""
        return {t["id"]: t for t in self.portal.state()["tasks"]}

    def run(self, lane: Lane = Lane.DAILY, only: str | None = None) -> dict[str, StepReport]:
        """Run the lane's steps in order for the next window."""
        self.day += 1
        run_id = uuid.uuid4().hex
        return {
            step.name: run_step(self.runtime, DESTINATION, step, window(self.day, lane), run_id)
            for step in DESTINATION.steps(self.activation)
            if step.lane is lane and only in (None, step.name)
        }

    def sql(self, query: str) -> list[Any]:
        with self.runtime.warehouse.write() as con, noting(con, *_READ):
            return con.execute(query).fetchall()

    def link(self, cio_id: str) -> tuple[Any, ...] | None:
        rows = self.sql(f"SELECT record_id, stamped, matched_by FROM delivery.links WHERE cio_id = '{cio_id}'")
        assert len(rows) <= 1
        return rows[0] if rows else None

    def rejected(self) -> dict[str, str]:
        return dict(self.sql("SELECT cio_id, reason FROM delivery.rejected"))

    def contact(self, record_id: str) -> dict[str, str]:
        found = self.portal.account.records["contacts"].get(record_id)
        assert found is not None
        return dict(found.values)

    def contacts(self) -> dict[str, dict[str, str]]:
        """Contacts by ``cio_id``; fails if two carry the same one."""
        found = [r for r in self.portal.state()["contacts"].values() if r.get("cio_id")]
        assert len({r["cio_id"] for r in found}) == len(found)
        return {r["cio_id"]: r for r in found}

    def id_of(self, email: str) -> str:
        found = self.portal.account.records["contacts"].lookup("email", email)
        assert found is not None
        return str(found.id)

    def on_list(self, name: str) -> set[str]:
        """People (by key) on the one living list called ``name``."""
        lists = [x for x in self.portal.state()["lists"] if x["name"] == name and not x["deleted"]]
        assert len(lists) == 1
        contacts = self.portal.state()["contacts"]
        return {contacts[i]["cio_id"] for i in lists[0]["members"]}

    def calls(self, since: int) -> Counter[str]:
        return Counter(e.path.rsplit("/2026-09", 1)[-1] for e in self.entries(since))

    def writes(self, since: int) -> list[Entry]:
        return [e for e in self.entries(since) if e.path.endswith(WRITES) or e.method == "PATCH"]


def hubspot_bench(
    home: Path, seed: Sequence[Mapping[str, Any]] = (), activation: Activation | None = None, **portal: Any
) -> HubSpotBench:
    """Start a portal that holds ``seed`` (``portal``: options of the stand-in) and point a home at it."""
    return HubSpotBench(home, begin(seed, **portal), activation or make_activation())
