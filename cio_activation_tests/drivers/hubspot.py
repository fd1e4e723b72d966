"""A small portal, a small activation and a warehouse whose deciding tables the tests fill by SQL."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cio_activation.activation.models import Activation, Audience, Flag, Lane, Property, PropertyType, Value, Workspace
from cio_activation.activation.settings import Settings
from cio_activation.delivery.report import StepReport
from cio_activation.delivery.run import run_step
from cio_activation.delivery.schema import run_schema
from cio_activation.destinations.hubspot import DESTINATION
from cio_activation.destinations.hubspot.config import HubSpotAccess, HubSpotAudience, HubSpotSettings
from cio_activation.runtime import Runtime
from cio_activation.sandbox.hubspot.app import HubSpot
from cio_activation.sandbox.server.core import Shared
from cio_activation.sandbox.server.request_log import Entry
from cio_activation.sandbox.server.running import RunningSandbox, start
from cio_activation.warehouse.tables import SQL_TYPE
from cio_activation_tests.drivers.builders import window
from cio_activation_tests.drivers.tables import noting

LABEL = "RET - Zurückgewinnen/Winback - Call Today"
_READ = ("identity.persons", "state.realtime_properties", "audience.memberships")
WRITES = ("batch/update", "batch/upsert", "batch/create", "add-and-remove")


def prop(name: str, kind: PropertyType, lane: Lane = Lane.DAILY, labels: tuple[str, ...] = ()) -> Property:
    rule = Flag(when="true") if kind is PropertyType.FLAG else Value(attribute=name)
    return Property(
        name=name, label=name.replace("_", " ").title(), description=f"What {name} says", owner="team:retention",
        lane=lane, rule=rule, type=kind, labels=labels, deliver=("hubspot",),
    )  # fmt: skip


def audience(name: str, lane: Lane, label: str, version: int = 1, **options: Any) -> Audience:
    return Audience(
        name=name, label=label, description="", version=version, owner="team:retention", segment=1, lane=lane,
        deliver={"hubspot": HubSpotAudience(**options)},
    )  # fmt: skip


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
    # Tests are not about pacing: as fast as the pacer allows.
    options = HubSpotSettings(**{"rate_share": 1.0, "requests_per_10s": 1000, **settings})
    return Activation(
        workspace=Workspace(), attributes={}, properties={p.name: p for p in properties},
        audiences={a.name: a for a in audiences}, destinations={"hubspot": options},
    )  # fmt: skip


def person(n: int, email: str | None = "", **more: Any) -> dict[str, Any]:
    found = {
        "cio_id": f"p{n:05d}",
        "email": f"person{n}@example.com" if email == "" else email,
        "first_name": f"Zoë {n}",
        "last_name": "Ñandú 🌱",
        "phone": f"+1202555{n:04d}",
        "deliverable": True,
    }
    return found | more


def access(url: str) -> HubSpotAccess:
    """Return how to get into the stand-in at ``url``."""
    return HubSpotAccess(hubspot_access_token="sandbox-hubspot-token", hubspot_url=url, _env_file=None)  # type: ignore[call-arg, arg-type]


@dataclass
class World:
    """One portal and one home. Each ``run`` is a new window."""

    home: Path
    portal: HubSpot
    running: RunningSandbox
    activation: Activation
    day: int = 0
    runtime: Runtime = field(init=False)

    def __post_init__(self) -> None:
        self.use(self.activation)

    def use(self, activation: Activation) -> None:
        self.activation = activation
        settings = Settings(
            activation_home=self.home, _env_file=None,
        ).with_access(access(self.running.urls["hubspot"]))  # type: ignore[call-arg]  # fmt: skip
        self.runtime = Runtime.build(settings, activation)

    def schema(self) -> Mapping[str, Any]:
        return run_schema(self.runtime, DESTINATION)

    def persons(self, rows: Iterable[Mapping[str, Any]]) -> None:
        columns = (
            "cio_id VARCHAR, email VARCHAR, phone VARCHAR, first_name VARCHAR, last_name VARCHAR, deliverable BOOLEAN"
        )
        self._table("identity.persons", columns, rows)

    def state(self, rows: Mapping[str, Mapping[str, Any]], lane: Lane = Lane.DAILY) -> None:
        """Make the lane's state table hold exactly ``rows``: person -> property -> value; others are NULL."""
        properties = self.activation.lane_properties(lane)
        columns = "cio_id VARCHAR" + "".join(f', "{p.name}" {SQL_TYPE[p.type]}' for p in properties)
        listed = ", ".join(f'"{p.name}"' for p in properties)
        self._table("state.given", columns, [{"cio_id": c, **values} for c, values in rows.items()])
        self.sql(
            f"CREATE OR REPLACE TABLE state.{lane}_properties AS "
            f"SELECT *, hash({listed}) AS row_hash, hash({listed}) AS hash_hubspot FROM state.given"
        )

    def members(self, name: str, people: Iterable[str]) -> None:
        """Make exactly ``people`` the present members; those who were in before have left."""
        inside = set(people)
        present = {r[0] for r in self.sql(
            f"SELECT cio_id FROM audience.memberships WHERE audience = '{name}' AND exited_at IS NULL"
        )}  # fmt: skip
        for one in sorted(present - inside):
            self.sql(f"UPDATE audience.memberships SET exited_at = now()::TIMESTAMP WHERE cio_id = '{one}'")
        rows = [{"audience": name, "cio_id": one} for one in sorted(inside - present)]
        if rows:
            self._table("stage.entering", "audience VARCHAR, cio_id VARCHAR", rows)
            self.sql("INSERT INTO audience.memberships BY NAME SELECT * FROM stage.entering")

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

    def edit(self, action: str, **change: Any) -> dict[str, Any]:
        return self.portal.edit({"action": action, **change})

    def fault(self, **values: Any) -> None:
        self.running.shared.faults.add(vendor="hubspot", **values)

    def mark(self) -> int:
        return self.entries()[-1].number if self.entries() else 0

    def entries(self, since: int = 0) -> list[Entry]:
        return [e for e in self.running.shared.log.entries if e.number > since]

    def calls(self, since: int) -> Counter[str]:
        return Counter(e.path.rsplit("/2026-09", 1)[-1] for e in self.entries(since))

    def writes(self, since: int) -> list[Entry]:
        return [e for e in self.entries(since) if e.path.endswith(WRITES) or e.method == "PATCH"]

    def _table(self, name: str, columns: str, rows: Iterable[Mapping[str, Any]]) -> None:
        import pyarrow as pa

        names = [c.strip().split(" ")[0].strip('"') for c in columns.split(",")]
        given = list(rows)
        arrow = pa.table({n: pa.array([r.get(n) for r in given]) for n in names})
        with self.runtime.warehouse.write() as con, noting(con, *_READ):
            con.register("given", arrow)
            con.execute(f"CREATE OR REPLACE TABLE {name} ({columns})")
            con.execute(f"INSERT INTO {name} BY NAME SELECT * FROM given")


def make_world(
    home: Path, seed: Sequence[Mapping[str, Any]] = (), activation: Activation | None = None, **vendor: Any
) -> World:
    shared = Shared()
    portal = HubSpot(shared, [dict(s) for s in seed], **{"limited": False, **vendor})
    running = start({"hubspot": portal}, shared)
    return World(home, portal, running, activation or make_activation())
