"""An audit finds what is certain, believes nothing half, and treats each kind as it is declared."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cio_activation.activation.models import OnConflict, PropertyType
from cio_activation.audit import run as auditing
from cio_activation.audit.run import audit, audited
from cio_activation.delivery.destination import Context
from cio_activation.delivery.outreach import OpenAction, SeenAction
from cio_activation.delivery.read_back import Comparable, Presence, SeenRecord
from cio_activation.delivery.resync import leave_account
from cio_activation.destinations import DESTINATIONS
from cio_activation.destinations.hubspot import DESTINATION as HUBSPOT
from cio_activation.destinations.hubspot.destination import HubSpot
from cio_activation.destinations.pipedrive import DESTINATION as PIPEDRIVE
from cio_activation.errors import ConfigError
from cio_activation.runtime import Runtime
from cio_activation.transport.errors import VendorError
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse.sessions import Connection
from cio_activation_tests.destinations.pipedrive.desk import asking, desk
from cio_activation_tests.destinations.pipedrive.test_notes import telling
from cio_activation_tests.drivers.hubspot import AUDIENCES, HubSpotBench, hubspot_bench, make_activation, person, prop
from cio_activation_tests.drivers.toy import ToyDestination
from cio_activation_tests.drivers.toy_bench import ToyBench
from cio_activation_tests.drivers.warm import warm_warehouses

PROPERTIES = (
    prop("last_category", PropertyType.TEXT),
    prop("ltv", PropertyType.NUMBER),
    prop("tier", PropertyType.TEXT, on_conflict=OnConflict.KEEP),
)
PEOPLE = {f"p{n:05d}": {"last_category": "tea", "ltv": 10.0 + n, "tier": "gold"} for n in range(1, 9)}
Found = list[tuple[Any, ...]]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubSpotBench]:
    """Eight people with a contact each; p1 to p6 are on a list."""
    with warm_warehouses():
        made = hubspot_bench(tmp_path_factory.mktemp("audit"), activation=make_activation(PROPERTIES, AUDIENCES[:1]))
        made.schema()
        made.persons([person(n) for n in range(1, 9)])
        made.state(PEOPLE)
        made.members("winback", sorted(PEOPLE)[:6])
        made.run()
        yield made
        made.stop()


@pytest.fixture(autouse=True)
def nobody(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave the bench as it was found: everything as acknowledged, and no finding remembered."""
    yield
    if "bench" in request.fixturenames:
        made: HubSpotBench = request.getfixturevalue("bench")
        made.sql("DELETE FROM delivery.audit_findings")
        made.sql("DELETE FROM delivery.conflicts")
        made.run()


def found(runtime: Runtime, destination: Any = HUBSPOT, **options: Any) -> Found:
    made = audit(runtime, destination, "run", **{"sample": None, **options})
    with runtime.warehouse.read() as con:
        return con.execute(
            """SELECT kind, subject, name, cio_id, treatment FROM delivery.audit_findings WHERE audit_id = ?
            ORDER BY ALL""",
            [made.audit_id],
        ).fetchall()


def write(bench: HubSpotBench, cio_id: str, **values: str) -> None:
    record = next(i for i, c in bench.portal.state()["contacts"].items() if c.get("cio_id") == cio_id)
    bench.edit("set", id=record, properties={f"cio_{name}": value for name, value in values.items()})


def test_what_is_written_while_it_is_read_is_no_finding(bench: HubSpotBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.state(PEOPLE | {"p00001": {**PEOPLE["p00001"], "last_category": "coffee"}})
    bench.members("winback", sorted(PEOPLE)[1:6])
    write(bench, "p00002", last_category="by hand")
    real = HubSpot.records

    async def records(self: HubSpot, *given: Any) -> list[SeenRecord]:
        seen = await real(self, *given)
        await asyncio.to_thread(bench.run)
        return seen

    monkeypatch.setattr(HubSpot, "records", records)
    assert found(bench.runtime) == [("edited", "field", "last_category", "p00002", "repaired")]
    monkeypatch.undo()
    bench.run()
    bench.members("winback", sorted(PEOPLE)[:6])
    bench.state(PEOPLE)
    bench.run()
    assert found(bench.runtime) == []


def test_of_whom_an_answer_is_awaited_nothing_is_known(bench: HubSpotBench) -> None:
    bench.state(PEOPLE | {"p00003": {**PEOPLE["p00003"], "last_category": "coffee"}})
    for _ in range(8):
        bench.fault(kind="reset", when="after", method="POST", path="*/contacts/batch/update")
    bench.run()
    bench.shared.faults.clear()
    assert bench.contacts()["p00003"]["cio_last_category"] == "coffee"
    assert found(bench.runtime) == []
    bench.state(PEOPLE)
    bench.run()


def test_what_never_arrived_has_no_history_and_is_written_also_where_humans_are_left_alone(bench: HubSpotBench) -> None:
    records = bench.portal.account.records["contacts"]
    for cio_id, name in (("p00001", "cio_ltv"), ("p00002", "cio_tier")):
        record = next(r for r in records.live.values() if r.values.get("cio_id") == cio_id)
        record.values = {n: v for n, v in record.values.items() if n != name}
        record.ever -= {name}
    write(bench, "p00003", ltv="")
    write(bench, "p00004", tier="")
    assert found(bench.runtime) == [
        ("cleared", "field", "ltv", "p00003", "repaired"),
        ("cleared", "field", "tier", "p00004", "kept"),
        ("never_arrived", "field", "ltv", "p00001", "repaired"),
        ("never_arrived", "field", "tier", "p00002", "repaired"),
    ]
    assert found(bench.runtime) == [], "in doubt, and a conflict that is known"
    bench.run()
    there = bench.contacts()
    assert (there["p00001"]["cio_ltv"], there["p00002"]["cio_tier"], there["p00003"]["cio_ltv"]) == ("11", "gold", "13")
    assert "cio_tier" not in there["p00004"]
    assert bench.query("SELECT cio_id, field FROM delivery.conflicts") == [("p00004", "tier")]
    write(bench, "p00004", tier="gold")
    assert found(bench.runtime) == []
    assert bench.query("SELECT cio_id, field FROM delivery.conflicts") == []


def test_a_list_that_is_emptied_again_is_listed_until_somebody_puts_them_back(bench: HubSpotBench) -> None:
    label = next(x["name"] for x in bench.portal.state()["lists"])
    on_it = set(sorted(PEOPLE)[:6])
    for treatment, after in (("repaired", on_it), ("listed", set())):
        bench.edit("set_members", name=label, ids=[])
        assert found(bench.runtime) == [("emptied", "list", "winback", who, treatment) for who in sorted(on_it)]
        bench.run()
        assert bench.on_list(label) == after
    assert found(bench.runtime) == []
    assert bench.query("SELECT DISTINCT field FROM delivery.conflicts") == [("list/winback",)]
    bench.edit("set_members", name=label, ids=[bench.id_of(f"person{n}@example.com") for n in range(1, 7)])
    assert found(bench.runtime) == []
    assert bench.query("SELECT field FROM delivery.conflicts") == []


@pytest.mark.parametrize("dies", ["read", "note"])
def test_an_audit_that_dies_leaves_nothing_and_the_next_one_reads_anew(
    bench: HubSpotBench, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    write(bench, "p00005", last_category="by hand")
    tables = ("audits", "audit_findings", "conflicts", "members", "links", "shadow_hubspot_daily")
    state = [f"SELECT * FROM delivery.{table} ORDER BY ALL" for table in tables]
    before = [bench.query(query) for query in state]
    if dies == "read":
        bench.fault(kind="status", status=403, path="*/records/memberships/batch/read")
        with pytest.raises(VendorError):
            audit(bench.runtime, HUBSPOT, "run", sample=None)
        bench.shared.faults.clear()
    else:
        monkeypatch.setattr(auditing._Audit, "_note", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            audit(bench.runtime, HUBSPOT, "run", sample=None)
        monkeypatch.undo()
    assert [bench.query(query) for query in state] == before
    left = bench.home / "raw" / "audits" / "hubspot.ndjson"  # as of one that was killed
    left.write_text('{"cio_id": "p00001", "record_id": "1"}\n')
    assert found(bench.runtime) == [("edited", "field", "last_category", "p00005", "repaired")]
    assert not left.exists()


def test_what_hubspot_calculates_or_has_no_more_never_counts(bench: HubSpotBench) -> None:
    definitions = bench.portal.account.properties["contacts"]
    write(bench, "p00001", last_category="calculated")
    write(bench, "p00002", ltv="9999")
    calculated = definitions.live("cio_last_category")
    assert calculated is not None
    calculated.read_only = True
    made = audit(bench.runtime, HUBSPOT, "run", sample=None)
    calculated.read_only = False
    assert made.findings == {"edited field": 1}
    assert made.note == "last_category was left out: HubSpot calculates it"
    write(bench, "p00001", last_category="tea")


def test_a_new_account_forgets_what_was_found_in_the_old_one(tmp_path: Path) -> None:
    bench = ToyBench(tmp_path, toy=ReadableToy())
    bench.schema()
    bench.state(ann="low")
    bench.run()
    bench.toy.vendor.people["ann"]["size"] = "high"
    assert found(bench.runtime, bench.toy) == [("edited", "field", "size", "ann", "repaired")]
    leave_account(bench.runtime, bench.toy)
    assert bench.query("FROM delivery.audits") == bench.query("FROM delivery.audit_findings") == []


def test_in_pipedrive_deleted_actions_are_handled_and_what_shows_nothing_of_us_never_arrived(tmp_path: Path) -> None:
    with desk(tmp_path, 8, asking("call"), telling("tell")) as its:
        bench = its.bench
        for n in range(1, 9):
            bench.people[f"c{n}"]["values"] = {"spent": float(n)}
        its.run()
        its.enter("call", "c1", "c2")
        its.enter("tell", "c3", "c4", destination="")
        its.run()
        assert found(bench.runtime, PIPEDRIVE) == []
        its.edit_of("c1", "delete_activity")
        notes = bench.vendor.company.notes.rows
        notes.pop(next(i for i, n in notes.items() if its.entry_ids["c3"] in n.content))
        for name in ("cio_id", "cio_spent"):
            bench.edit("set_field", person=bench.there["c5@example.com"]["id"], field=name, value=None)
        bench.edit("set_field", person=bench.there["c6@example.com"]["id"], field="cio_spent", value=77)
        for n in (1, 2):
            bench.edit("set_field", person=bench.there[f"c{n}@example.com"]["id"], field="cio_audiences", value=None)
        assert found(bench.runtime, PIPEDRIVE) == [
            ("cleared", "list", "call", "c1", "repaired"),
            ("cleared", "list", "call", "c2", "repaired"),
            ("deleted", "action", "activity", "c1", "handled"),
            ("deleted", "action", "note", "c3", "handled"),
            ("edited", "field", "spent", "c6", "repaired"),
            ("never_arrived", "field", "spent", "c5", "repaired"),
            ("never_arrived", "key", "cio_id", "c5", "repaired"),
        ]
        assert its.run() == []
        assert (bench.fields("c5@example.com")["cio_id"], bench.fields("c6@example.com")["cio_spent"]) == ("c5", 6)
        assert (its.known("c1"), its.known("c3")) == (["deleted"], ["deleted"])
        assert found(bench.runtime, PIPEDRIVE) == []


class ReadableToy(ToyDestination):
    """A destination of one's own that can be read back."""

    read_at_once, heals_memberships = 2, False

    async def comparable(self, client: VendorClient, context: Context) -> Comparable:
        return Comparable(fields=["size"], sizes={})

    async def records(
        self, client: VendorClient, context: Context, people: Mapping[str, str], fields: Sequence[str]
    ) -> list[SeenRecord]:
        return [
            SeenRecord(
                record_id=i, presence=Presence.THERE, key=i, values={"size": self.vendor.people[i]["size"] or ""}
            )
            for i in people
        ]

    async def actions_back(
        self, client: VendorClient, context: Context, open: Sequence[OpenAction]
    ) -> list[SeenAction]:
        return []

    def acknowledged_members(self, context: Context) -> str:
        return "SELECT '' AS cio_id, '' AS record_id, '' AS audience, true AS certain WHERE false"

    def unsettled(self) -> str:
        return "SELECT cio_id FROM delivery.links WHERE false"

    def take_in(self, con: Connection, context: Context, repairs: str, seen: str) -> None:
        """There is nothing but fields."""


def test_a_destination_of_ones_own_is_audited_if_it_can_be_read_back(tmp_path: Path) -> None:
    bench = ToyBench(tmp_path, toy=ReadableToy())
    bench.schema()
    with pytest.raises(ConfigError, match="nothing was delivered to toy yet"):
        audit(bench.runtime, bench.toy, "run", sample=None)
    bench.state(ann="low", bob="high", cleo="top")
    bench.run()
    bench.toy.vendor.people["bob"]["size"] = "low"
    assert found(bench.runtime, bench.toy) == [("edited", "field", "size", "bob", "repaired")]
    bench.run(2)
    assert bench.there == {"ann": "low", "bob": "high", "cleo": "top"}
    with pytest.raises(ConfigError, match="cannot be read back"):
        audit(bench.runtime, ToyDestination(), "run", sample=None)
    assert [d.name for d in audited(DESTINATIONS, ["customerio", "hubspot", "pipedrive"])] == ["hubspot", "pipedrive"]


def test_without_the_library_nothing_is_read(bench: HubSpotBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cio_activation.audit.interval.find_spec", lambda name: None)
    since = bench.mark()
    with pytest.raises(ConfigError, match=r"cio-activation\[statistics\]"):
        audit(bench.runtime, HUBSPOT, "run", sample=None)
    assert bench.entries(since) == []
